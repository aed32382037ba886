import { useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import { mostPanels } from '../../state/compare-settings';
import { nextOffered } from '../../state/method-offers';
import { type PanelDrawings, selectPanelMap } from '../../state/panel-map';
import type { StageImage } from '../stage/stage';
import { AgreementTable } from './agreement-table';
import { DifferencePanel } from './difference-panel';
import { useFocusNext } from './focus-next';
import { Panel } from './panel';
import type { CompareBench } from './use-compare';

/** One to four panels, then the difference of two of them and how far they agree. */
export function PanelRow({ bench, image }: { readonly bench: CompareBench; readonly image: StageImage }) {
  const { panels, offers, pair, setCompare } = bench;
  const focusNext = useFocusNext();
  const drawings = useDrawings(bench);
  const next = nextOffered(offers, panels);

  const setPanels = (methods: readonly MethodId[]) => void setCompare({ methods: [...methods] });
  /** A method that another panel has changes places with it. */
  const replace = (at: number, method: MethodId) => {
    const former = panels[at];
    if (former === undefined) return;
    setPanels(panels.map((one, i) => (i === at ? method : one === method ? former : one)));
    focusNext(`[data-panel="${method}"] .method-button`);
  };
  const move = (at: number, by: -1 | 1) => {
    const moved = [...panels];
    const [method] = moved.splice(at, 1);
    if (method === undefined) return;
    moved.splice(at + by, 0, method);
    setPanels(moved);
    focusNext(`[data-panel="${method}"] .panel-button:nth-child(${by < 0 ? 1 : 2})`);
  };
  const remove = (at: number) => {
    const left = panels.filter((_, i) => i !== at);
    setPanels(left);
    focusNext(`[data-panel="${left[Math.min(at, left.length - 1)]}"] .method-button`);
  };
  const add = (method: MethodId) => {
    setPanels([...panels, method]);
    focusNext(`[data-panel="${method}"] .method-button`);
  };

  return (
    <div className="panels" data-count={panels.length}>
      {panels.map((method, at) => (
        <Panel
          key={method}
          bench={bench}
          image={image}
          method={method}
          at={at}
          drawing={drawings.get(method) ?? { kind: 'none', reason: undefined }}
          onMethod={(chosen) => replace(at, chosen)}
          onMove={(by) => move(at, by)}
          onRemove={() => remove(at)}
        />
      ))}
      {pair && <DifferencePanel bench={bench} image={image} pair={pair} drawings={drawings} />}
      {pair && <AgreementTable bench={bench} pair={pair} drawings={drawings} />}
      <p className="panels-add">
        {panels.length < mostPanels && next !== undefined && (
          <button type="button" className="add-button" onClick={() => add(next)}>
            + Add a method
          </button>
        )}
      </p>
    </div>
  );
}

function useDrawings(bench: CompareBench): PanelDrawings {
  const { record, run, panels, selected, frame, thresholds, compare } = bench;
  const { pool, values: scale } = compare;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new snapshot of the run may have brought maps
  return useMemo(
    () =>
      new Map(
        panels.map((method) => [
          method,
          selectPanelMap(record, { method, indices: selected, pool, scale, thresholds, frame: frame.placement }),
        ]),
      ),
    [record, run, panels, selected, pool, scale, thresholds, frame],
  );
}
