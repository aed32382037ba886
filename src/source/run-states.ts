// Hidden states of recent answers, as received; token activation maps are computed from them later.
import type { RunRow, StateRows } from '../contract/run-rows';

export interface HeldStates {
  /** [P, d]. */
  readonly patches: StateRows;
  readonly promptIds: readonly number[];
  /** [m, d]. */
  readonly prompt: StateRows;
  /** [1, d] per answer token. */
  readonly queries: readonly StateRows[];
}

export interface RunStates {
  /** Passes the rows through and keeps their states. */
  watch(runId: string, rows: AsyncIterable<RunRow>): AsyncGenerator<RunRow>;
  /** Undefined if the run's states were never held or have been dropped. */
  of(runId: string): HeldStates | undefined;
}

interface Holding {
  bytes: number;
  patches?: StateRows;
  prompt?: { readonly ids: readonly number[]; readonly states: StateRows };
  readonly queries: StateRows[];
}

/** Beyond the limit, the oldest answers are dropped; even the newest is dropped if it alone exceeds the limit. */
export function createRunStates(limitBytes: number): RunStates {
  const runs = new Map<string, Holding>();

  function keep(holding: Holding, { values, rows, cols }: StateRows): StateRows {
    holding.bytes += values.byteLength;
    // Copied so that the larger buffer of the stream can be freed.
    return { values: values.slice(), rows, cols };
  }

  function dropSurplus(): void {
    let total = 0;
    for (const [runId, { bytes }] of [...runs].reverse()) {
      total += bytes;
      if (total > limitBytes) runs.delete(runId);
    }
  }

  return {
    async *watch(runId, rows) {
      const holding: Holding = { bytes: 0, queries: [] };
      runs.delete(runId);
      runs.set(runId, holding);
      for await (const row of rows) {
        if (runs.get(runId) === holding) {
          if (row.kind === 'states') holding.patches = keep(holding, row.states);
          if (row.kind === 'token') holding.queries.push(keep(holding, row.queryState));
          if (row.kind === 'prompt') {
            holding.prompt = { ids: row.tokens.map(({ tokenId }) => tokenId), states: keep(holding, row.states) };
          }
          dropSurplus();
        }
        yield row;
      }
    },
    of(runId) {
      const { patches, prompt, queries = [] } = runs.get(runId) ?? {};
      return patches && prompt && { patches, promptIds: prompt.ids, prompt: prompt.states, queries };
    },
  };
}
