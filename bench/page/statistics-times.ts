// Measures the statistics worker on interactive tasks, from the page's call to the result, and compares it with
// straightforward implementations, which smooth every value of every resample and filter all rows for every chart.

import { createRandom } from '../../src/math/random';
import type { AnswerValue, FilterChart } from '../../src/statistics/api';
import { createStatisticsClient } from '../../src/statistics/client';
import { madeUpAnswers, type PlainReply, type PlainRequest } from './plain-statistics';

export interface StatisticsJob {
  readonly bandRows: number;
  readonly resamples: number;
  readonly points: number;
  readonly brushRows: number;
  readonly rounds: number;
}

/** Medians of the rounds, in milliseconds. */
export interface StatisticsTimes {
  readonly bandsMs: number;
  readonly plainBandsMs: number;
  /** Without bands, as when the user moves a slider. */
  readonly densityMs: number;
  readonly brushMs: number;
  /** The longest brush step, not the median. */
  readonly longestBrushMs: number;
  readonly plainBrushMs: number;
  readonly loadMs: number;
}

const entropy: AnswerValue = { of: 'entropy', kind: 'given', pooling: 'mean' };
const charts: readonly FilterChart[] = [
  { id: 'entropy', value: entropy, bins: 40 },
  { id: 'logProb', value: { of: 'logProb', pooling: 'mean' }, bins: 40 },
  { id: 'length', value: { of: 'length' }, bins: 40 },
  { id: 'set', category: 'set' },
  { id: 'kind', category: 'kind' },
  { id: 'correct', category: 'correct' },
];

export async function measureStatistics(job: StatisticsJob): Promise<StatisticsTimes> {
  const { resamples, points, rounds } = job;
  const client = createStatisticsClient();
  const load = async (rows: number) => {
    const bytes = new TextEncoder().encode(csvOf(rows)).buffer;
    return await timed(() => client.load({ name: 'table.csv', bytes }));
  };
  const small = (await load(job.bandRows)).value;
  const large = await load(job.brushRows);
  const request = { value: entropy, resamples, points };

  const bands = await repeated(rounds, (round) =>
    client.compute('distribution', small.table, { ...request, seed: round }),
  );
  const densities = await repeated(rounds, (round) =>
    client.compute('distribution', small.table, { ...request, resamples: 0, bandwidthFactor: 0.5 + round / rounds }),
  );
  const { unit } = createRandom(1);
  const brushes = await repeated(rounds * 10, () => {
    const from = 3.5 + 0.5 * unit();
    const choices = { entropy: { range: [from, from + 0.5] }, logProb: { range: [-1.5, -0.1] } } as const;
    return client.compute('filter', large.value.table, { charts, choices });
  });
  client.destroy();
  const plainBandsMs = await plain({ task: 'bands', rows: job.bandRows, resamples, points });
  const plainBrushMs = await plain({ task: 'brush', rows: job.brushRows, rounds });
  return {
    bandsMs: median(bands),
    plainBandsMs,
    densityMs: median(densities),
    brushMs: median(brushes),
    longestBrushMs: Math.max(...brushes),
    plainBrushMs,
    loadMs: large.ms,
  };
}

function csvOf(rows: number): string {
  const lines = madeUpAnswers(rows).map((answer) => Object.values(answer).join(','));
  return ['entropy,logProb,length,set,kind,correct', ...lines].join('\n');
}

/** Also runs in a worker, for a fair comparison. */
function plain(request: PlainRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./plain-statistics-worker.ts', import.meta.url), { type: 'module' });
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<PlainReply>) => {
      worker.terminate();
      resolve(data.ms);
    };
    worker.postMessage(request);
  });
}

async function timed<T>(task: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const from = performance.now();
  const value = await task();
  return { value, ms: performance.now() - from };
}

/** Times each round, after two warm-up rounds. */
async function repeated(rounds: number, task: (round: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds + 2; round++) times.push((await timed(() => task(round))).ms);
  return times.slice(2);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
