// Token activation maps (TAM) of a companion's answers, computed by a worker of this page.
//
//   mapOf -> the answer's held states -> unembedding rows: those that came with the answer, or else requested (HTTP,
//   cached) -> worker

import type { StateRows } from '../contract/answer-states';
import type { CompanionModel } from '../contract/companion';
import { widenHalfs } from '../contract/half-floats';
import type { RelevancyMap, RunHeader } from '../contract/run';
import { createActivationClient, type OpenActivations } from '../inference/activation-client';
import type { CompanionHttp } from './companion-http';
import type { RunStates } from './run-states';

export interface AnswerActivationsOptions {
  readonly http: CompanionHttp;
  readonly states: RunStates;
  /** Undefined while no companion is connected. */
  model(): CompanionModel | undefined;
}

export interface AnswerActivations {
  /** The map of a token that has arrived. Throws if the answer's states are not held. */
  mapOf(header: AnswerHeader, tokenIndex: number, signal: AbortSignal): Promise<RelevancyMap>;
  destroy(): void;
}

type AnswerHeader = Pick<RunHeader, 'id' | 'model' | 'geometry'>;

/** Maximum number of cached rows of the unembedding matrix: 130 MB at d = 4096. */
const maxRows = 8000;

export function createAnswerActivations({ http, states, model }: AnswerActivationsOptions): AnswerActivations {
  /** The answer opened in the worker, and how many of its tokens have been sent there. */
  let open: { readonly id: string; readonly maps: OpenActivations; tokens: number } | undefined;
  const activations = createActivationClient(() => {
    open = undefined;
  });
  let vocabulary = { of: '', rows: new Map<number, Float32Array>() };

  /** Sends the worker all tokens that have arrived, so that maps of further tokens are cheap. */
  async function opened(header: AnswerHeader, tokenIndex: number, signal: AbortSignal): Promise<OpenActivations> {
    if (open?.id === header.id && tokenIndex < open.tokens) return open.maps;
    const held = states.of(header.id);
    if (held === undefined || held.answerIds.length <= tokenIndex) {
      throw new Error('some hidden states of this answer are missing; ask again to get TAM');
    }
    const { patches, prompt, promptIds, unembedding } = held;
    const answerIds = [...held.answerIds];
    const missing = [...promptIds, ...answerIds].filter((id) => !unembedding.has(id));
    if (missing.length > 0) await requestRows(missing, header, signal);
    const rowOf = (id: number) => floatsOf(unembedding.get(id)) ?? vocabulary.rows.get(id)!;
    if (open?.id !== header.id) {
      const maps = activations.open({
        patchStates: floatsOf(patches),
        promptStates: floatsOf(prompt),
        promptIds,
        hiddenSize: header.model.hiddenSize,
        unembedding: new Map(promptIds.map((id) => [id, rowOf(id)])),
        grids: header.geometry.frames.map(({ grid }) => grid),
      });
      open = { id: header.id, maps, tokens: 0 };
    }
    const tokens = answerIds.slice(open.tokens).map((id, i) => ({
      id,
      queryState: floatsOf(held.queries[open!.tokens + i]!),
      row: rowOf(id),
    }));
    open.maps.append(tokens);
    open.tokens += tokens.length;
    return open.maps;
  }

  /** Requests rows that are not cached, in batches no larger than the companion's limit. */
  async function requestRows(
    ids: readonly number[],
    { model: { name, revision, hiddenSize } }: AnswerHeader,
    signal: AbortSignal,
  ): Promise<void> {
    const { parseUnembedding } = await import('../contract/unembedding');
    const of = `${name} ${revision}`;
    if (vocabulary.of !== of || vocabulary.rows.size > maxRows) vocabulary = { of, rows: new Map() };
    const { rows } = vocabulary;
    const missing = [...new Set(ids)].filter((id) => !rows.has(id));
    const atOnce = model()?.limits.unembeddingIds ?? 1;
    for (let from = 0; from < missing.length; from += atOnce) {
      const batch = missing.slice(from, from + atOnce);
      const unembedding = await parseUnembedding(await http.unembedding(batch, signal), { ids: batch, hiddenSize });
      const sender = `${unembedding.model.name} ${unembedding.model.revision}`;
      if (sender !== of) throw new Error(`the companion now serves ${sender}, but this answer is from ${of}`);
      for (const id of batch) rows.set(id, unembedding.rows.get(id)!);
    }
  }

  return {
    async mapOf(header, tokenIndex, signal) {
      const maps = await opened(header, tokenIndex, signal);
      const { values, prompt, answer, computeMs } = await maps.mapOf(tokenIndex);
      return { method: 'tam', tokenIndex, values, backend: 'script', computeMs, text: { prompt, answer } };
    },
    destroy: () => activations.destroy(),
  };
}

/** Always copies, because the buffer is transferred to the worker. */
function floatsOf(rows: StateRows): Float32Array;
function floatsOf(rows: StateRows | undefined): Float32Array | undefined;
function floatsOf(rows: StateRows | undefined): Float32Array | undefined {
  if (rows === undefined) return undefined;
  return rows.values instanceof Uint16Array ? widenHalfs(rows.values) : rows.values.slice();
}
