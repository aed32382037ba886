// Hidden states of recent answers, as received; token activation maps are computed from them later.
import type { StateRows } from '../contract/answer-states';
import type { RunRow } from '../contract/run-rows';

interface HeldStates {
  /** [P, d]. */
  readonly patches: StateRows;
  readonly promptIds: readonly number[];
  /** [m, d]. */
  readonly prompt: StateRows;
  /** [1, d] per answer token that has arrived. */
  readonly queries: readonly StateRows[];
  readonly answerIds: readonly number[];
  /** The unembedding rows [1, d] that came with the answer, by token id. */
  readonly unembedding: ReadonlyMap<number, StateRows>;
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
  readonly answerIds: number[];
  readonly unembedding: Map<number, StateRows>;
}

/** Beyond the limit, the oldest answers are dropped; even the newest is dropped if it alone exceeds the limit. */
export function createRunStates(limitBytes: number): RunStates {
  const runs = new Map<string, Holding>();

  function keep(holding: Holding, { values, rows, cols }: StateRows): StateRows {
    holding.bytes += values.byteLength;
    // Copied so that the larger buffer of the stream can be freed.
    return { values: values.slice(), rows, cols };
  }

  function keepUnembedding(holding: Holding, ids: readonly number[], unembedding: StateRows | undefined): void {
    if (unembedding === undefined) return;
    const { values, cols } = unembedding;
    for (const [i, id] of ids.entries()) {
      if (holding.unembedding.has(id)) continue;
      const row = { values: values.subarray(i * cols, (i + 1) * cols), rows: 1, cols };
      holding.unembedding.set(id, keep(holding, row));
    }
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
      const holding: Holding = emptyHolding();
      runs.delete(runId);
      runs.set(runId, holding);
      for await (const row of rows) {
        if (runs.get(runId) === holding) {
          if (row.kind === 'states') holding.patches = keep(holding, row.states);
          if (row.kind === 'token') {
            holding.queries.push(keep(holding, row.queryState));
            holding.answerIds.push(row.token.tokenId);
            keepUnembedding(holding, [row.token.tokenId], row.unembedding);
          }
          if (row.kind === 'prompt') {
            const ids = row.tokens.map(({ tokenId }) => tokenId);
            holding.prompt = { ids, states: keep(holding, row.states) };
            keepUnembedding(holding, ids, row.unembedding);
          }
          dropSurplus();
        }
        yield row;
      }
    },
    of(runId) {
      const { patches, prompt, ...tokens } = runs.get(runId) ?? emptyHolding();
      return patches && prompt && { ...tokens, patches, promptIds: prompt.ids, prompt: prompt.states };
    },
  };
}

function emptyHolding(): Holding {
  return { bytes: 0, queries: [], answerIds: [], unembedding: new Map() };
}
