import { methods } from '../../contract/methods';
import { formatMs } from '../../text/number-format';
import type { ShownRun } from '../shared/use-shown-run';

const backends = { webgpu: 'WebGPU', wasm: 'WASM', script: 'JavaScript', python: 'Python' } as const;

/** How the answer and the map were made. `data-volatile` marks values that differ between runs. */
export function Provenance({ shown }: { readonly shown: ShownRun }) {
  const { run, map } = shown;
  const { model, sampling } = run.header;
  const head = map?.head ?? run.header.head;
  return (
    <p className="provenance mono">
      <span>
        {model.name} {shortRevision(model.revision)}
      </span>
      {model.dtype !== 'float32' && <span>{model.dtype}</span>}
      {sampling.temperature > 0 && (
        <span>
          temperature {sampling.temperature}, top-p {sampling.topP}, seed {sampling.seed}
        </span>
      )}
      <span>{head ? `head ${head.name} ${shortRevision(head.revision)}, trained on ${head.teacher}` : 'no head'}</span>
      <span>{head?.stage ?? model.stage} states</span>
      {map && (
        <span>
          {methods[map.method].name}, {backends[map.backend]}
        </span>
      )}
      {run.end && run.end.answerMs > 0 && (
        <span>
          answer <span data-volatile>{formatMs(run.end.answerMs)}</span>
        </span>
      )}
      {map && (
        <span>
          {map.tokenIndices.length === 1 ? 'map' : `${map.tokenIndices.length} maps`}{' '}
          <span data-volatile>{formatMs(map.computeMs)}</span>
        </span>
      )}
      {run.header.recorded && <span>recorded {run.header.createdAt.slice(0, 10)}</span>}
    </p>
  );
}

function shortRevision(revision: string): string {
  return revision.length > 12 ? revision.slice(0, 8) : revision;
}
