import { figureOf, type HeadFigure, type HeadReport } from '../../contract/head-report';

/** FastRM paper, Table 1, at a classification threshold of 0.5: VQA, GQA, POPE. */
const paper = [
  { name: 'FastRM on LLaVA-1.5-7B', accuracy: [0.981, 0.999, 0.99], f1: [0.57, 0.66, 0.63] },
  { name: 'FastRM on LLaVA-1.5-13B', accuracy: [0.993, 0.996, 0.998], f1: [0.72, 0.81, 0.84] },
] as const;

/** Our sets of questions, modelled on the paper's data sets. */
const sets = [
  { set: 'vqa-like', name: 'VQA-like: attributes, counts' },
  { set: 'gqa-like', name: 'GQA-like: relations' },
  { set: 'pope-like', name: 'POPE-like: existence' },
] as const;

/** How well the head's maps agree with its teacher's, next to the paper's figures. */
export function TableOne({ report, model }: { readonly report: HeadReport; readonly model: string }) {
  const threshold = figureOf(report, 'classification threshold')?.value;
  return (
    <section className="figures" aria-labelledby="table-one">
      <h3 id="table-one" className="chart-title">
        Table 1: FastRM’s maps compared with its teacher’s
      </h3>
      <p className="chart-note">
        Target: patches with at least 0.3 of Chefer’s maximum. FastRM: probability of at least 0.5 unless stated
        otherwise. In brackets: 95 % intervals over scenes. {report.title}.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: in a narrow window, it scrolls sideways by keyboard */}
      <section className="figures-scroll" tabIndex={0} aria-label="Rows of Table 1">
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
            <OwnRows report={report} name={`FastRM on ${model}`} at="0.5" />
            {threshold !== undefined && (
              <OwnRows report={report} name={`same, at threshold ${threshold}`} at="the threshold" />
            )}
            <tr>
              <th scope="row">empty map, full map</th>
              <FigureCell figure={figureOf(report, 'accuracy of a constant map (none relevant)')} digits={3} />
              <FigureCell figure={figureOf(report, 'F1 of a constant map (all patches relevant)')} digits={2} />
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
      </section>
    </section>
  );
}

/** The head at one classification threshold: on all held-out answers, and on those to the questions of each set. */
function OwnRows({ report, name, at }: { readonly report: HeadReport; readonly name: string; readonly at: string }) {
  const groups = [
    { on: 'held-out answers', suffix: '' },
    ...sets.map(({ set, name: on }) => ({ on, suffix: `, ${set}` })),
  ];
  return groups.map(({ on, suffix }) => {
    const accuracy = figureOf(report, `accuracy at ${at}${suffix}`);
    const f1 = figureOf(report, `F1 at ${at}${suffix}`);
    if (suffix !== '' && accuracy === undefined && f1 === undefined) return null;
    return (
      <tr key={on}>
        <th scope="row">{name}</th>
        <FigureCell figure={accuracy} digits={3} isOwn />
        <FigureCell figure={f1} digits={2} isOwn />
        <td>{on}</td>
      </tr>
    );
  });
}

function FigureCell(props: {
  readonly figure: HeadFigure | undefined;
  readonly digits: number;
  readonly isOwn?: boolean;
}) {
  const { figure, digits, isOwn = false } = props;
  if (figure === undefined) return <td>–</td>;
  const value = figure.value.toFixed(digits);
  return (
    <td>
      {isOwn ? <b>{value}</b> : value}
      {figure.interval && (
        <span className="figures-interval"> ({figure.interval.map((end) => end.toFixed(digits)).join('–')})</span>
      )}
    </td>
  );
}
