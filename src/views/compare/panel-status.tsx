import { type MethodId, methods } from '../../contract/methods';
import type { ReproductionCheck } from '../../contract/run';
import { type Explaining, type MethodTrack, trackOf, useExplaining } from '../../state/explain-session';
import type { PanelMap } from '../../state/panel-map';
import { formatBytes, formatCount, formatMs } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import type { CompareBench } from './use-compare';

const selectRunning = ({ running }: Explaining) => running;
const backends = { webgpu: 'WebGPU', wasm: 'WASM', script: 'JavaScript', python: 'Python' } as const;

/** How far a method is with the answer, what it costs and whether to believe its pass. */
export function PanelStatus(props: {
  readonly bench: CompareBench;
  readonly method: MethodId;
  readonly map: PanelMap | undefined;
}) {
  const { bench, method, map } = props;
  const track = useExplaining((state) => trackOf(state, bench.record.id, method));
  return (
    <div className="panel-status">
      <Progress bench={bench} method={method} track={track} />
      {map && <MissingMaps map={map} />}
      <Cost bench={bench} method={method} map={map} track={track} />
      {track.check && <ReproductionWarning check={track.check} />}
    </div>
  );
}

/** Nothing where the pass that was explained says what was streamed. */
export function ReproductionWarning({ check }: { readonly check: ReproductionCheck }) {
  if (check.isSame) return null;
  return (
    <p className="panel-warning">
      The pass explained does not say what was streamed (log-probabilities differ by up to{' '}
      {check.largestDifference.toPrecision(2)}): do not trust this map.
    </p>
  );
}

/** Nothing where the panel's map is of all the tokens picked. */
export function MissingMaps({ map: { tokenIndices, missing } }: { readonly map: PanelMapTokens }) {
  if (missing.length === 0) return null;
  const others = tokenIndices.length === 1 ? 'the other one' : `the other ${tokenIndices.length}`;
  return (
    <p>
      {formatCount(missing.length, 'token has', 'tokens have')} no map: this one is of {others}.
    </p>
  );
}

type PanelMapTokens = Pick<PanelMap, 'tokenIndices' | 'missing'>;

export function Progress(props: {
  readonly bench: CompareBench;
  readonly method: MethodId;
  readonly track: MethodTrack;
}) {
  const { bench, method, track } = props;
  const { explaining } = useServices();
  const running = useExplaining(selectRunning);
  const { record, run, offers } = bench;
  const all = run.tokens.length;
  const done = run.tokens.filter(({ index }) => record.mapOf(index, method) !== undefined).length;
  const offer = offers.find((one) => one.method === method);
  const isMine = running?.runId === record.id && running.method === method;
  const refusal = offer?.refusal ?? (offer?.canExplain ? undefined : 'No more of its maps can be made here.');

  if (run.end === undefined) {
    const says = method === 'fastrm' ? `${done} of ${all} tokens so far` : 'Maps come when the answer is whole.';
    return <p className="panel-progress">{says}</p>;
  }
  if (done === all) return <p className="panel-progress">{formatCount(all, 'token', 'tokens')}, all explained</p>;
  if (track.stop?.kind === 'failed' || track.stop?.kind === 'cancelled') {
    const text =
      track.stop.kind === 'failed'
        ? `It failed: ${track.stop.reason.replace(/\.$/, '')}.`
        : `Stopped at ${done} of ${all}.`;
    return (
      <p className="panel-progress" data-bad={track.stop.kind === 'failed' || undefined}>
        {text}{' '}
        <button type="button" className="link-button" onClick={() => explaining.resume(record.id, method)}>
          {track.stop.kind === 'failed' ? 'Try again' : 'Go on'}
        </button>
      </p>
    );
  }
  if (refusal !== undefined && !isMine)
    return (
      <p className="panel-progress">
        {done > 0 ? `${done} of ${all}. ` : ''}
        {refusal}
      </p>
    );
  return (
    <div className="panel-progress">
      <span>
        {isMine ? (running.before > 0 ? `${running.before} before it` : 'Explaining') : 'Waiting'}: {done} of {all}
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

/** Of the map on screen, then of all that was measured of this method in this run. */
function Cost(props: {
  readonly bench: CompareBench;
  readonly method: MethodId;
  readonly map: PanelMap | undefined;
  readonly track: MethodTrack;
}) {
  const { bench, method, map, track } = props;
  const { kind, from } = methods[method];
  // A file holds FastRM's maps alone; all others were made here.
  const isRecorded = bench.run.header.recorded && method === 'fastrm';
  return (
    <p className="panel-cost mono">
      <span>{kind}</span>
      {map && (
        <span>
          {backends[map.backend]}, {map.tokenIndices.length === 1 ? 'map' : `${map.tokenIndices.length} maps`}{' '}
          <span data-volatile>{formatMs(map.computeMs)}</span>
          {isRecorded && ', as recorded'}
        </span>
      )}
      {track.costs.length > 0 ? (
        <Passes track={track} />
      ) : (
        map && from === 'hidden states' && <span>no pass of its own</span>
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
