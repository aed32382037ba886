import { type MethodId, methods } from '../../contract/methods';
import type { ReproductionCheck } from '../../contract/run';
import { type Explaining, type MethodTrack, useExplaining } from '../../state/explain-session';
import type { PanelMap } from '../../state/panel-map';
import { formatCount } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import type { ShownRun } from '../shared/use-shown-run';
import './method-progress.css';

const selectRunning = ({ running }: Explaining) => running;

interface MethodProgress {
  readonly shown: Pick<ShownRun, 'record' | 'run' | 'offers'>;
  readonly method: MethodId;
  readonly track: MethodTrack;
}

/** How many tokens of the answer have a map of this method, and what can be done about the others. */
export function Progress({ shown, method, track }: MethodProgress) {
  const isRunning = useIsRunning(shown, method);
  const { run, offers } = shown;
  const all = run.tokens.length;
  const done = run.tokens.filter(({ index }) => run.mapOf(index, method) !== undefined).length;
  const offer = offers.find((one) => one.method === method);
  const refusal = offer?.refusal ?? (offer?.canExplain ? undefined : 'No more maps of this method are available here.');

  if (run.end === undefined) {
    const isStreamed = done > 0 || method === 'fastrm';
    const text = isStreamed ? `${done} of ${all} tokens so far` : 'Maps arrive when the answer is complete.';
    return <p className="method-progress">{text}</p>;
  }
  if (done === all) return <p className="method-progress">{formatCount(all, 'token', 'tokens')} done</p>;
  if (track.stop !== undefined) return <Stopped shown={shown} method={method} track={track} done={done} of={all} />;
  if (refusal !== undefined && !isRunning)
    return (
      <p className="method-progress">
        {done > 0 ? `${done} of ${all}. ` : ''}
        {refusal}
      </p>
    );
  return <Running shown={shown} method={method} done={done} of={all} />;
}

/** Why the method stopped, with a button that continues. Renders nothing if it has not stopped. */
export function Stopped(props: MethodProgress & { readonly done: number; readonly of: number }) {
  const { shown, method, track, done, of } = props;
  const { explaining } = useServices();
  const { stop } = track;
  if (stop === undefined) return null;
  const isFailed = stop.kind === 'failed';
  return (
    <p className="method-progress" data-bad={isFailed || undefined}>
      {isFailed ? `Failed: ${stop.reason.replace(/\.$/, '')}.` : `Stopped after ${done} of ${of}.`}{' '}
      <button type="button" className="link-button" onClick={() => explaining.resume(shown.record.id, method)}>
        {isFailed ? 'Try again' : 'Continue'}
      </button>
    </p>
  );
}

/** The tokens computed so far, with a button that stops. */
export function Running(
  props: Pick<MethodProgress, 'shown' | 'method'> & { readonly done: number; readonly of: number },
) {
  const { shown, method, done, of } = props;
  const { explaining } = useServices();
  const isRunning = useIsRunning(shown, method);
  const before = useExplaining(selectRunning)?.before ?? 0;
  return (
    <div className="method-progress">
      <span>
        {isRunning ? (before > 0 ? `${before} ahead in the queue` : 'Explaining') : 'Waiting'}: {done} of {of}
      </span>
      <progress value={done} max={of} aria-label={`${methods[method].name}: tokens explained`} />
      <button
        type="button"
        className="link-button"
        aria-label={`Stop ${methods[method].name}`}
        onClick={() => explaining.cancel(shown.record.id, method)}
      >
        Stop
      </button>
    </div>
  );
}

function useIsRunning({ record }: MethodProgress['shown'], method: MethodId): boolean {
  const running = useExplaining(selectRunning);
  return running?.runId === record.id && running.method === method;
}

/** Renders nothing if the explained pass reproduces the streamed answer. */
export function ReproductionWarning({ check }: { readonly check: ReproductionCheck }) {
  if (check.isSame) return null;
  return (
    <p className="method-warning">
      The explained pass does not reproduce the streamed answer (log-probabilities differ by up to{' '}
      {check.largestDifference.toPrecision(2)}): do not trust this map.
    </p>
  );
}

/** Renders nothing if the map covers all selected tokens. */
export function MissingMaps({ map: { tokenIndices, missing } }: { readonly map: MappedTokens }) {
  if (missing.length === 0) return null;
  const others = tokenIndices.length === 1 ? 'the other one' : `the other ${tokenIndices.length}`;
  return (
    <p>
      {formatCount(missing.length, 'token has', 'tokens have')} no map; this map covers {others}.
    </p>
  );
}

type MappedTokens = Pick<PanelMap, 'tokenIndices' | 'missing'>;
