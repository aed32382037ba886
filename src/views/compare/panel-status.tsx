import { type MethodId, methods } from '../../contract/methods';
import type { ReproductionCheck } from '../../contract/run';
import { type Explaining, type MethodTrack, trackOf, useExplaining } from '../../state/explain-session';
import type { PanelMap } from '../../state/panel-map';
import { formatBytes, formatCount, formatMs } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import { HeadWarning } from '../stage/head-warning';
import type { ShownComparison } from './use-shown-comparison';

const selectRunning = ({ running }: Explaining) => running;
const backends = { webgpu: 'WebGPU', wasm: 'WASM', script: 'JavaScript', python: 'Python' } as const;

/** A method's progress on the answer, its cost, and a warning if its maps cannot be trusted. */
export function PanelStatus(props: {
  readonly shown: ShownComparison;
  readonly method: MethodId;
  readonly map: PanelMap | undefined;
}) {
  const { shown, method, map } = props;
  const track = useExplaining((state) => trackOf(state, shown.record.id, method));
  return (
    <div className="panel-status">
      <Progress shown={shown} method={method} track={track} />
      {map && method === 'fastrm' && <HeadWarning header={shown.run.header} />}
      {map && <MissingMaps map={map} />}
      <Cost shown={shown} method={method} map={map} track={track} />
      {track.check && <ReproductionWarning check={track.check} />}
    </div>
  );
}

/** Renders nothing if the explained pass reproduces the streamed answer. */
export function ReproductionWarning({ check }: { readonly check: ReproductionCheck }) {
  if (check.isSame) return null;
  return (
    <p className="panel-warning">
      The explained pass does not reproduce the streamed answer (log-probabilities differ by up to{' '}
      {check.largestDifference.toPrecision(2)}): do not trust this map.
    </p>
  );
}

/** Renders nothing if the panel's map covers all selected tokens. */
export function MissingMaps({ map: { tokenIndices, missing } }: { readonly map: PanelMapTokens }) {
  if (missing.length === 0) return null;
  const others = tokenIndices.length === 1 ? 'the other one' : `the other ${tokenIndices.length}`;
  return (
    <p>
      {formatCount(missing.length, 'token has', 'tokens have')} no map; this map covers {others}.
    </p>
  );
}

type PanelMapTokens = Pick<PanelMap, 'tokenIndices' | 'missing'>;

export function Progress(props: {
  readonly shown: ShownComparison;
  readonly method: MethodId;
  readonly track: MethodTrack;
}) {
  const { shown, method, track } = props;
  const { explaining } = useServices();
  const running = useExplaining(selectRunning);
  const { record, run, offers } = shown;
  const all = run.tokens.length;
  const done = run.tokens.filter(({ index }) => run.mapOf(index, method) !== undefined).length;
  const offer = offers.find((one) => one.method === method);
  const isRunning = running?.runId === record.id && running.method === method;
  const refusal = offer?.refusal ?? (offer?.canExplain ? undefined : 'No more maps of this method are available here.');

  if (run.end === undefined) {
    const text = method === 'fastrm' ? `${done} of ${all} tokens so far` : 'Maps arrive when the answer is complete.';
    return <p className="panel-progress">{text}</p>;
  }
  if (done === all) return <p className="panel-progress">{formatCount(all, 'token', 'tokens')} done</p>;
  if (track.stop?.kind === 'failed' || track.stop?.kind === 'cancelled') {
    const text =
      track.stop.kind === 'failed'
        ? `Failed: ${track.stop.reason.replace(/\.$/, '')}.`
        : `Stopped after ${done} of ${all}.`;
    return (
      <p className="panel-progress" data-bad={track.stop.kind === 'failed' || undefined}>
        {text}{' '}
        <button type="button" className="link-button" onClick={() => explaining.resume(record.id, method)}>
          {track.stop.kind === 'failed' ? 'Try again' : 'Continue'}
        </button>
      </p>
    );
  }
  if (refusal !== undefined && !isRunning)
    return (
      <p className="panel-progress">
        {done > 0 ? `${done} of ${all}. ` : ''}
        {refusal}
      </p>
    );
  return (
    <div className="panel-progress">
      <span>
        {isRunning ? (running.before > 0 ? `${running.before} ahead in the queue` : 'Explaining') : 'Waiting'}: {done}{' '}
        of {all}
      </span>
      <progress value={done} max={all} aria-label={`${methods[method].name}: tokens explained`} />
      <button
        type="button"
        className="link-button"
        aria-label={`Stop ${methods[method].name}`}
        onClick={() => explaining.cancel(record.id, method)}
      >
        Stop
      </button>
    </div>
  );
}

/** The cost of the map on screen, followed by the total cost of this method in this run. */
function Cost(props: {
  readonly shown: ShownComparison;
  readonly method: MethodId;
  readonly map: PanelMap | undefined;
  readonly track: MethodTrack;
}) {
  const { shown, method, map, track } = props;
  const { kind, from } = methods[method];
  // A run file contains only FastRM maps; all others were computed here.
  const isRecorded = shown.run.header.recorded && method === 'fastrm';
  return (
    <p className="panel-cost mono">
      <span>{kind}</span>
      {map && (
        <span>
          {backends[map.backend]}, {map.tokenIndices.length === 1 ? 'map' : `${map.tokenIndices.length} maps`}{' '}
          <span data-volatile>{formatMs(map.computeMs)}</span>
          {isRecorded && ', recorded'}
        </span>
      )}
      {track.costs.length > 0 ? (
        <Passes track={track} />
      ) : (
        map && from === 'hidden states' && <span>no extra model pass</span>
      )}
    </p>
  );
}

function Passes({ track: { costs } }: { readonly track: MethodTrack }) {
  const sum = (of: (cost: MethodTrack['costs'][number]) => number) =>
    costs.reduce((total, cost) => total + of(cost), 0);
  const peaks = costs.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== undefined);
  return (
    <>
      <span>
        {formatCount(
          sum(({ tokens }) => tokens),
          'token',
          'tokens',
        )}{' '}
        in <span data-volatile>{formatMs(sum(({ ms }) => ms))}</span>
      </span>
      <span>
        {sum(({ forwardPasses }) => forwardPasses)} forward, {sum(({ backwardPasses }) => backwardPasses)} backward
      </span>
      {peaks.length > 0 && (
        <span>
          peak <span data-volatile>{formatBytes(Math.max(...peaks))}</span>
        </span>
      )}
    </>
  );
}
