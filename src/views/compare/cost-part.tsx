import { useMemo } from 'react';
import { type MethodId, methodIds, methods } from '../../contract/methods';
import type { CostSeries } from '../../marks/cost-chart';
import { type Explaining, useExplaining } from '../../state/explain-session';
import { selectMeasuredCosts } from '../../state/measured-costs';
import { formatMs } from '../../text/number-format';
import { useRunSnapshots } from '../shared/use-run';
import { CostChart } from './cost-chart';
import './cost-part.css';

const selectTracks = ({ tracks }: Explaining) => tracks;

/** Cost against the number of tokens, as measured in this tab. */
export function CostPart() {
  const tracks = useExplaining(selectTracks);
  const runs = useRunSnapshots();
  const costs = useMemo(() => selectMeasuredCosts(runs, tracks), [runs, tracks]);
  const series = useMemo(
    () => methodIds.map((method): CostSeries => ({ name: methods[method].name, points: costs.get(method) ?? [] })),
    [costs],
  );
  const isMeasured = series.some(({ points }) => points.length > 0);
  return (
    <section className="cost-part" aria-label="Cost">
      <div className="part-head">
        <h2 className="part-title">Cost</h2>
      </div>
      {!isMeasured ? (
        <p className="panel-text cost-empty">
          No measurements in this tab yet: recorded maps were computed elsewhere. Ask a question or add a method.
        </p>
      ) : (
        <>
          <CostChart series={series} />
          <details className="collapsible">
            <summary>Show as table</summary>
            <CostTable costs={costs} />
          </details>
        </>
      )}
      <p className="panel-text">
        Both axes are logarithmic; lines connect medians. A method’s first explanation includes the time to load the
        method. FastRM’s maps come with the answer, from hidden states that already exist. These times are for this
        model on this machine; gradients of a large model cost far more.
      </p>
    </section>
  );
}

function CostTable({ costs }: { readonly costs: ReturnType<typeof selectMeasuredCosts> }) {
  return (
    <table className="cost-table">
      <thead>
        <tr>
          <th scope="col">Method</th>
          <th scope="col">Tokens</th>
          <th scope="col">Time</th>
          <th scope="col">Per token</th>
        </tr>
      </thead>
      <tbody>
        {[...costs].flatMap(([method, points]: [MethodId, CostSeries['points']]) =>
          points.map(({ tokens, ms }, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: measurements are only ever appended
            <tr key={`${method} ${at}`}>
              <th scope="row">{methods[method].name}</th>
              <td className="mono">{tokens}</td>
              <td className="mono">
                <span data-volatile>{formatMs(ms)}</span>
              </td>
              <td className="mono">
                <span data-volatile>{formatMs(ms / tokens)}</span>
              </td>
            </tr>
          )),
        )}
      </tbody>
    </table>
  );
}
