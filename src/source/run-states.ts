// The hidden states of this visit's last answers, as they came: what token activation maps are made from later.
import type { RunRow, StateRows } from '../contract/run-rows';

export interface HeldStates {
  /** [P, d]. */
  readonly patches: StateRows;
  readonly promptIds: readonly number[];
  /** [m, d]. */
  readonly prompt: StateRows;
  /** One [1, d] an answer token. */
  readonly queries: readonly StateRows[];
}

export interface RunStates {
  /** The rows as they are, kept on their way. */
  watch(runId: string, rows: AsyncIterable<RunRow>): AsyncGenerator<RunRow>;
  /** Undefined where they were not held, or no longer are. */
  of(runId: string): HeldStates | undefined;
}

interface Holding {
  bytes: number;
  patches?: StateRows;
  prompt?: { readonly ids: readonly number[]; readonly states: StateRows };
  readonly queries: StateRows[];
}

/** Past the limit the oldest answers are let go of, and the newest too where it is too large by itself. */
export function createRunStates(limitBytes: number): RunStates {
  const runs = new Map<string, Holding>();

  function keep(holding: Holding, { values, rows, cols }: StateRows): StateRows {
    holding.bytes += values.byteLength;
    // Out of the stream's buffer, which holds more than these states.
    return { values: values.slice(), rows, cols };
  }

  function letGo(): void {
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
          letGo();
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
