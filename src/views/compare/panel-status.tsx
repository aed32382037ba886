import { type MethodId, methods, needsModelPass } from '../../contract/methods';
import { type MethodTrack, trackOf, useExplaining } from '../../state/explain-session';
import type { PanelMap } from '../../state/panel-map';
import { formatBytes, formatCount, formatMs } from '../../text/number-format';
import { HeadWarning } from '../stage/head-warning';
import { MissingMaps, Progress, ReproductionWarning } from '../stage/method-progress';
import type { ShownComparison } from './use-shown-comparison';

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

/** The cost of the map on screen, followed by the total cost of this method in this run. */
function Cost(props: {
  readonly shown: ShownComparison;
  readonly method: MethodId;
  readonly map: PanelMap | undefined;
  readonly track: MethodTrack;
}) {
  const { shown, method, map, track } = props;
  const { kind } = methods[method];
  const isFromStates = method !== 'random' && !needsModelPass(method);
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
      {track.costs.length > 0 ? <Passes track={track} /> : map && isFromStates && <span>no extra model pass</span>}
      {map?.head && (
        <span>
          head {map.head.name} {map.head.revision}
        </span>
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
