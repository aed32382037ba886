import type { AblationReport } from '../../contract/ablation-report';
import { AblationChart } from './ablation-chart';

/** One chart for each option of a head's training that was varied. */
export function Ablations({ report, model }: { readonly report: AblationReport; readonly model: string }) {
  return (
    <section aria-labelledby="ablations-title">
      <h3 id="ablations-title" className="chart-title">
        Ablations: heads for {model}, each trained by the paper’s recipe with one option changed
      </h3>
      <p className="chart-note">
        All are compared with Chefer’s maps at a labelling threshold of 0.3, on held-out answers. Pointing: share of
        words not in the question whose highest patch is on the object. Bars are 95 % intervals over scenes; another
        seed would move the values, too. The table of each chart also has the perturbation area.
      </p>
      <div className="ablations">
        {report.ablations.map((ablation) => (
          <AblationChart key={ablation.name} ablation={ablation} report={report} />
        ))}
      </div>
    </section>
  );
}
