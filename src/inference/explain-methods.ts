// The methods that explain a traced answer. Their graphs are exported by, and documented in,
// companion/src/patchlight/embedded/browser/gradient_graphs.py.

import { widenHalfs } from '../contract/half-floats';
import type { ExplainFacts, ModelManifest } from '../contract/manifest';
import type { MapBackend, RelevancyMap } from '../contract/run';
import { dexArMaps } from '../math/methods/dex-ar';
import { createTokenActivations } from '../math/methods/token-activation';
import { rowsOf } from './decoder';
import type { ExplainerMethod } from './explainer-method';
import type { Graph } from './graph';
import type { ModelFiles } from './model-files';
import { type Feeds, type FloatTensor, int64, type Outputs } from './tensor';
import { columnParts, rowOf, type TracedAnswer, textRows } from './traced-answer';

/** The parts of a token's map that depend on the method. */
type TokenMap = Pick<RelevancyMap, 'values' | 'text' | 'grounding'>;

/** Counts of decoder passes; a pass through a single layer counts as one. */
interface Passes {
  forward: number;
  backward: number;
}

export interface ExplainMethod {
  readonly backend: MapBackend;
  /** Loads the method's graph. */
  load(): Promise<unknown>;
  /** Does the work shared by all requested tokens; the returned function is called once per token. */
  prepare(
    answer: TracedAnswer,
    tokenIndices: readonly number[],
    passes: Passes,
  ): Promise<(tokenIndex: number) => Promise<TokenMap> | TokenMap>;
}

export interface ExplainMethodParts {
  readonly manifest: ModelManifest;
  readonly facts: ExplainFacts;
  readonly files: ModelFiles;
  /** Creates the graph on first use. */
  ensureGraph(path: string): Promise<Graph>;
}

type GraphName = keyof ExplainFacts['graphs'];

export function createExplainMethods(parts: ExplainMethodParts): Record<ExplainerMethod, ExplainMethod> {
  const { manifest, facts, files, ensureGraph } = parts;
  const graphOf = (name: GraphName) => ensureGraph(facts.graphs[name]);

  /** Runs the graph once for all requested rows. */
  async function atRows(name: GraphName, answer: TracedAnswer, tokenIndices: readonly number[]): Promise<Outputs> {
    const rows = tokenIndices.map((t) => rowOf(answer.columns, t));
    const tokens = tokenIndices.map((t) => answer.answerIds[t]!);
    const selected = { rows: int64(rows, [rows.length]), tokens: int64(tokens, [tokens.length]) };
    return runWith(await graphOf(name), { ...answer.passed, ...selected }, []);
  }

  const allAtOnce = (name: GraphName, output: string, backwardPasses: number): ExplainMethod => ({
    backend: 'wasm',
    load: () => graphOf(name),
    async prepare(answer, tokenIndices, passes) {
      const relevancies = (await atRows(name, answer, tokenIndices))[output]!;
      passes.backward += backwardPasses;
      return (t) => {
        const row = tokenIndices.indexOf(t);
        return columnParts(rowsOf(relevancies, row, row + 1).data, answer.columns, t);
      };
    },
  });

  /** Runs the graph once per token, on the columns up to the token's row: the causal mask hides later columns. */
  const oneByOne = (name: GraphName, hasText: boolean): ExplainMethod => ({
    backend: 'wasm',
    load: () => graphOf(name),
    async prepare(answer, _, passes) {
      const graph = await graphOf(name);
      const { from, count } = answer.columns.patches;
      return async (t) => {
        const n = rowOf(answer.columns, t) + 1;
        const isPatch = new Float32Array(n).fill(1, from, from + count);
        const feeds = {
          ...Object.fromEntries(Object.entries(answer.passed).map(([key, rows]) => [key, firstRows(rows, n)])),
          token: int64([answer.answerIds[t]!], [1]),
          is_patch: { data: isPatch, dims: [n] },
        };
        const { relevancy } = await runWith(graph, feeds, []);
        passes.backward += 1;
        const { values, text } = columnParts(relevancy!.data, answer.columns, t);
        return hasText ? { values, text } : { values };
      };
    },
  });

  return {
    chefer: oneByOne('chefer', true),
    'feature-gradcam': oneByOne('feature-gradcam', false),
    gradcam: allAtOnce('gradcam', 'relevancy', 1),
    rollout: allAtOnce('attention', 'rollout', 0),
    attention: allAtOnce('attention', 'attention', 0),
    'dex-ar': {
      backend: 'wasm',
      load: () => graphOf('dex-ar'),
      async prepare(answer, _, passes) {
        const all = [...answer.answerIds.keys()];
        const { data, dims } = (await atRows('dex-ar', answer, all)).gradients!;
        passes.backward += manifest.model.layers - facts.firstLensLayer;
        const gradients = { data, dims: dims as [number, number, number, number] };
        const maps = dexArMaps(gradients, answer.columns.patches, facts.firstLensLayer);
        return (t) => maps[t]!;
      },
    },
    tam: {
      backend: 'script',
      load: async () => {},
      async prepare({ columns, states, promptIds, answerIds }) {
        const { hiddenSize: d } = manifest.model;
        const table = widenHalfs(new Uint16Array(files(facts.unembedding).buffer));
        const row = (id: number) => table.subarray(id * d, (id + 1) * d);
        const { from, count } = columns.patches;
        const activations = createTokenActivations({
          patchStates: rowsOf(states, from, from + count).data,
          promptStates: textRows(states, columns).data,
          promptIds,
          hiddenSize: d,
          unembedding: new Map(promptIds.map((id) => [id, row(id)])),
          grids: [manifest.image.grid],
        });
        for (const [t, id] of answerIds.entries()) {
          const at = rowOf(columns, t);
          activations.append({ id, queryState: rowsOf(states, at, at + 1).data, row: row(id) });
        }
        return (t) => {
          const { values, prompt, answer } = activations.mapOf(t);
          return { values, text: { prompt, answer } };
        };
      },
    },
  };
}

/** Runs the graph, passing only the feeds that match its inputs. */
function runWith(graph: Graph, feeds: Feeds, checked: readonly string[]): Promise<Outputs> {
  return graph.run(Object.fromEntries(graph.inputs.map((name) => [name, feeds[name]!])), checked);
}

/** A view, not a copy. */
function firstRows({ data, dims }: FloatTensor, count: number): FloatTensor {
  return { data: data.subarray(0, count * dims[1]!), dims: [count, dims[1]!] };
}
