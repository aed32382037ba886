import { useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import { maxPanels } from '../../state/compare-settings';
import { nextOffered } from '../../state/method-offers';
import { type PanelDrawings, selectPanelMap } from '../../state/panel-map';
import type { StageImage } from '../stage/map-stage';
import { AgreementTable } from './agreement-table';
import { DifferencePanel } from './difference-panel';
import { useFocusNext } from './focus-next';
import { Panel } from './panel';
import type { ShownComparison } from './use-shown-comparison';

/** One to four panels, followed by the difference between two of them, and their agreement. */
export function PanelRow({ shown, image }: { readonly shown: ShownComparison; readonly image: StageImage }) {
  const { panels, offers, pair, setCompare } = shown;
  const focusNext = useFocusNext();
  const drawings = useDrawings(shown);
  const next = nextOffered(offers, panels);

  const setPanels = (methods: readonly MethodId[]) => void setCompare({ methods: [...methods] });
  /** If another panel already shows the method, the two panels swap methods. */
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
    const remaining = panels.filter((_, i) => i !== at);
    setPanels(remaining);
    focusNext(`[data-panel="${remaining[Math.min(at, remaining.length - 1)]}"] .method-button`);
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
          shown={shown}
          image={image}
          method={method}
          at={at}
          drawing={drawings.get(method) ?? { kind: 'none', reason: undefined }}
          onMethod={(chosen) => replace(at, chosen)}
          onMove={(by) => move(at, by)}
          onRemove={() => remove(at)}
        />
      ))}
      {pair && <DifferencePanel shown={shown} image={image} pair={pair} drawings={drawings} />}
      {pair && <AgreementTable shown={shown} pair={pair} drawings={drawings} />}
      <p className="panels-add">
        {panels.length < maxPanels && next !== undefined && (
          <button type="button" className="add-button" onClick={() => add(next)}>
            + Add method
          </button>
        )}
      </p>
    </div>
  );
}

function useDrawings(shown: ShownComparison): PanelDrawings {
  const { run, panels, selected, frame, thresholds, compare } = shown;
  const { pool, values: scale } = compare;
  return useMemo(
    () =>
      new Map(
        panels.map((method) => [
          method,
          selectPanelMap(run, { method, indices: selected, pool, scale, thresholds, frame: frame.placement }),
        ]),
      ),
    [run, panels, selected, pool, scale, thresholds, frame],
  );
}
