import { figureOf, type HeadReport } from '../../contract/head-report';

/** FastRM paper, Table 1, at a classification threshold of 0.5: VQA, GQA, POPE. */
const paper = [
  { name: 'FastRM on LLaVA-1.5-7B', accuracy: [0.981, 0.999, 0.99], f1: [0.57, 0.66, 0.63] },
  { name: 'FastRM on LLaVA-1.5-13B', accuracy: [0.993, 0.996, 0.998], f1: [0.72, 0.81, 0.84] },
] as const;

/** How well the head's maps agree with its teacher's, next to the paper's figures. */
export function TableOne({ report, model }: { readonly report: HeadReport; readonly model: string }) {
  const at = (label: string, digits: number) => figureOf(report, label)?.toFixed(digits) ?? '–';
  const threshold = figureOf(report, 'classification threshold');
  return (
    <section className="figures" aria-labelledby="table-one">
      <h3 id="table-one" className="chart-title">
        Table 1: FastRM’s maps compared with its teacher’s
      </h3>
      <p className="chart-note">
        Target: patches with at least 0.3 of Chefer’s maximum. FastRM: probability of at least 0.5 unless stated
        otherwise. {report.title}.
      </p>
      <div className="figures-scroll">
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col">Accuracy</th>
              <th scope="col">F1</th>
              <th scope="col">On</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">FastRM on {model}</th>
              <td>
                <b>{at('accuracy at 0.5', 3)}</b>
              </td>
              <td>
                <b>{at('F1 at 0.5', 2)}</b>
              </td>
              <td>held-out answers</td>
            </tr>
            {threshold !== undefined && (
              <tr>
                <th scope="row">same, at threshold {threshold}</th>
                <td>
                  <b>{at('accuracy at the threshold', 3)}</b>
                </td>
                <td>
                  <b>{at('F1 at the threshold', 2)}</b>
                </td>
                <td>held-out answers</td>
              </tr>
            )}
            <tr>
              <th scope="row">empty map, full map</th>
              <td>{at('accuracy of a constant map (none relevant)', 3)}</td>
              <td>{at('F1 of a constant map (all patches relevant)', 2)}</td>
              <td>same answers</td>
            </tr>
            {paper.map(({ name, accuracy, f1 }) => (
              <tr key={name}>
                <th scope="row">Paper: {name}</th>
                <td>{accuracy.join(' / ')}</td>
                <td>{f1.join(' / ')}</td>
                <td>VQA / GQA / POPE</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
