import { type MethodId, methods } from '../../contract/methods';
import { trackOf, useExplaining } from '../../state/explain-session';
import { defaultMethod } from '../../state/method-offers';
import type { PanelMap } from '../../state/panel-map';
import { formatMs } from '../../text/number-format';
import { countWords } from '../../text/token-words';
import { MethodSelect } from '../shared/method-select';
import type { ShownRun } from '../shared/use-shown-run';
import { Running } from './method-progress';
import './method-line.css';

/** The method of the map on screen with its cost or progress, and the way to another one. */
export function MethodLine({ shown }: { readonly shown: ShownRun }) {
  const { method, offers, map, run, setSettings } = shown;
  const usual = defaultMethod(run.header);
  const choose = (chosen: MethodId) => void setSettings({ method: chosen === usual ? null : chosen });
  return (
    <div className="method-line">
      <span className="method-line-label" aria-hidden="true">
        Map by
      </span>
      <MethodSelect label="Map by" method={method} offers={offers} onChange={choose} />
      {map && map.missing.length === 0 ? <Cost shown={shown} map={map} /> : <Pending shown={shown} />}
      <ExactMap shown={shown} usual={usual} onChoose={choose} />
    </div>
  );
}

/** How long the map took, and where. */
function Cost({ shown, map }: { readonly shown: ShownRun; readonly map: PanelMap }) {
  return (
    <span className="method-cost mono">
      {map.tokenIndices.length > 1 && `${map.tokenIndices.length} maps, `}
      <span data-volatile>{formatMs(map.computeMs)}</span>, {placeOf(shown, map)}
    </span>
  );
}

function placeOf({ run }: ShownRun, { method, backend }: PanelMap): string {
  // A run file contains only FastRM maps; all others were computed during this visit.
  if (run.header.recorded && method === 'fastrm') return 'recorded';
  return backend === 'python' ? 'on the companion' : 'in the page';
}

/** Progress of the selected tokens' maps; empty if none are on their way. */
function Pending({ shown }: { readonly shown: ShownRun }) {
  const { record, run, method, selected, offers } = shown;
  const track = useExplaining((state) => trackOf(state, record.id, method));
  const canExplain = offers.some((offer) => offer.method === method && offer.canExplain);
  if (!canExplain || run.end === undefined || track.stop !== undefined || selected.length === 0) return null;
  const done = selected.filter((index) => run.mapOf(index, method) !== undefined).length;
  return <Running shown={shown} method={method} done={done} of={selected.length} />;
}

/** One click to Chefer's exact map of the selected words, and back. */
function ExactMap(props: { readonly shown: ShownRun; readonly usual: MethodId; onChoose(method: MethodId): void }) {
  const { shown, usual, onChoose } = props;
  const { method, offers, selected, run } = shown;
  const exact = offers.find((offer) => offer.method === 'chefer');
  if (exact === undefined || exact.refusal !== undefined || selected.length === 0) return null;
  const isExact = method === 'chefer';
  return (
    <button
      type="button"
      className="link-button method-exact"
      title={isExact ? undefined : methods.chefer.description}
      onClick={() => onChoose(isExact ? usual : 'chefer')}
    >
      {isExact ? (
        <>
          Back<span className="method-exact-of"> to {methods[usual].name}</span>
        </>
      ) : (
        <>
          Exact map
          <span className="method-exact-of">
            {' '}
            of {countWords(run.tokens, selected) === 1 ? 'this word' : 'these words'}
          </span>
        </>
      )}
    </button>
  );
}
