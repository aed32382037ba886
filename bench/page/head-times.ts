// Measures a head of a given width in a worker, in three versions: the product's head with random weights, the paper's
// formulation, and the matrix products alone. Rounds alternate between the three, so that a temporarily busy machine
// slows all of them.
import { createGraph, type Graph, type GraphFiles } from '../../src/inference/graph';
import { createHead } from '../../src/inference/head';
import { loadRuntime, planRuntime } from '../../src/inference/runtime';
import type { FloatTensor } from '../../src/inference/tensor';
import { randomHeadBlob, randomPlainBlob, referenceMap } from './head-blobs';
import { createNoise, randomFloats } from './random-weights';

export interface HeadJob {
  /** Folder with the graphs for this width. */
  readonly graphsUrl: string;
  readonly hiddenSize: number;
  readonly patches: number;
  /** Number of text tokens in the prompt. The paper's formulation attends to these as well as to the patches. */
  readonly textTokens: number;
  /** Number of tokens in one answer. */
  readonly answerTokens: number;
  readonly rounds: number;
}

/** Medians of all rounds but the first, in milliseconds. */
export interface HeadTimes {
  readonly threads: number;
  readonly sessionMs: number;
  readonly imageMs: number;
  /** One token at a time. */
  readonly tokenMs: number;
  /** A complete answer at once, excluding and including the preparation of its image. */
  readonly batchMs: number;
  readonly batchWithImageMs: number;
  readonly plainTokenMs: number;
  readonly productsTokenMs: number;
  readonly productsBatchMs: number;
  /** Largest difference between a map's probabilities and a float64 reference. */
  readonly error: number;
}

export async function measureHead(job: HeadJob): Promise<HeadTimes> {
  const { hiddenSize: d, patches: P, answerTokens: T, rounds } = job;
  const runtime = await loadRuntime(await planRuntime('wasm'), () => undefined);
  const graph = async (name: string, path: string, data: Uint8Array): Promise<GraphFiles> => {
    const response = await fetch(`${job.graphsUrl}${name}.onnx`);
    if (!response.ok) throw new Error(`${name}.onnx: ${response.status}`);
    return { name, graph: new Uint8Array(await response.arrayBuffer()), external: [{ path, data }] };
  };
  const blob = randomHeadBlob(d);
  const files = {
    norm: await graph('fastrm-norm', 'fastrm.bin', blob.bytes),
    head: await graph('fastrm', 'fastrm.bin', blob.bytes),
  };

  const sessionStart = performance.now();
  const head = await createHead(runtime, files, 'wasm');
  const sessionMs = performance.now() - sessionStart;
  const products = await createGraph(runtime, await graph('products', 'fastrm.bin', blob.bytes), 'wasm');
  const plain = await createGraph(runtime, await graph('plain', 'plain.bin', randomPlainBlob(d)), 'wasm');

  const noise = createNoise(7);
  const image = tensor(randomFloats(P * d, noise), [P, d]);
  const columns = tensor(randomFloats(P * d, noise), [d, P]);
  const queries = tensor(randomFloats(T * d, noise), [T, d]);
  const one = tensor(queries.data.slice(0, d), [1, d]);
  const states = tensor(randomFloats((P + job.textTokens) * d, noise), [P + job.textTokens, d]);
  const runProducts = (query_states: FloatTensor) =>
    products.run({ query_states, patches_by_column: columns }, ['probabilities']);

  await head.setImage(image);
  const { patches: map } = await head.maps(one);
  const reference = referenceMap(blob, one.data, image.data);
  const error = reference.reduce((max, value, i) => Math.max(max, Math.abs(value - map.data[i]!)), 0);

  const runsPerRound = 10;
  const measureRound = async () => ({
    image: await timed(1, () => head.setImage(image)),
    token: await timed(runsPerRound, () => head.maps(one)),
    batch: await timed(1, () => head.maps(queries)),
    batchWithImage: await timed(1, async () => {
      await head.setImage(image);
      await head.maps(queries);
    }),
    productsToken: await timed(runsPerRound, () => runProducts(one)),
    productsBatch: await timed(1, () => runProducts(queries)),
    plainToken: await timed(1, () => runPlain(plain, states)),
  });
  await measureRound();
  const measured: Awaited<ReturnType<typeof measureRound>>[] = [];
  for (let round = 0; round < rounds; round++) measured.push(await measureRound());
  const medianOf = (of: keyof (typeof measured)[number]) => median(measured.map((round) => round[of]));
  return {
    threads: runtime.threads,
    sessionMs,
    imageMs: medianOf('image'),
    tokenMs: medianOf('token'),
    batchMs: medianOf('batch'),
    batchWithImageMs: medianOf('batchWithImage'),
    plainTokenMs: medianOf('plainToken'),
    productsTokenMs: medianOf('productsToken'),
    productsBatchMs: medianOf('productsBatch'),
    error,
  };
}

const runPlain = (plain: Graph, states: FloatTensor) => plain.run({ states }, ['probabilities']);

const tensor = (data: Float32Array, dims: readonly number[]): FloatTensor => ({ data, dims });

/** Mean milliseconds per run. */
async function timed(runs: number, task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < runs; i++) await task();
  return (performance.now() - start) / runs;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
