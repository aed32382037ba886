// Fixed sample statistics for the Trust view's charts, computed by the code that the statistics worker uses.
import { readCalibrationFile } from '../contract/calibration-file';
import { createRandom } from '../math/random';
import type { AnswerValue, ChartCounts, Distribution, FilterRequest } from '../statistics/api';
import { type Calibration, createCalibration } from '../statistics/calibration';

export const entropy: AnswerValue = { of: 'entropy', kind: 'given', pooling: 'mean' };
export const length: AnswerValue = { of: 'length' };

/** One of the linked charts: `counts` applies the other charts' filters, and `whole` applies none. */
interface LinkedChart {
  readonly counts: ChartCounts;
  readonly whole: ChartCounts;
}

export interface SampleStatistics {
  readonly distribution: Distribution;
  /** Computed from too few answers for bands. */
  readonly fewAnswers: Distribution;
  readonly entropies: LinkedChart;
  /** Filtered to two kinds of question. */
  readonly lengths: LinkedChart;
  /** Filtered to a range of entropies. */
  readonly kinds: LinkedChart;
}

export async function computeSampleStatistics(): Promise<SampleStatistics> {
  const calibration = await readAnswers(600);
  return {
    distribution: await distributionOf(calibration),
    fewAnswers: await distributionOf(await readAnswers(24)),
    entropies: await linkedChart(calibration, 'entropy', {}),
    lengths: await linkedChart(calibration, 'length', { kind: { names: ['count', 'relation'] } }),
    kinds: await linkedChart(calibration, 'kind', { entropy: { range: [4.9, 5.5] } }),
  };
}

/** About one answer in five is wrong. */
async function readAnswers(count: number): Promise<Calibration> {
  const { unit, normal } = createRandom(count);
  const kinds = ['attribute', 'count', 'existence', 'relation'];
  const rows = Array.from({ length: count }, () => {
    const isRight = unit() > 0.2;
    const entropy = (isRight ? 5.05 : 5.45) + 0.32 * normal();
    const length = Math.max(1, Math.round(4 + 2 * normal()));
    return [entropy, length, isRight ? 'right' : 'wrong', kinds[Math.floor(4 * unit())]].join();
  });
  const csv = ['entropy,length,correct,kind', ...rows].join('\n');
  return createCalibration(await readCalibrationFile('answers.csv', new TextEncoder().encode(csv).buffer));
}

/** Does nothing: these computations are too short to need pauses. */
const pause = async () => {};

async function distributionOf({ computations }: Calibration): Promise<Distribution> {
  return computations.distribution({ value: entropy }, pause);
}

const charts: FilterRequest['charts'] = [
  { id: 'entropy', value: entropy, bins: 30 },
  { id: 'length', value: length, bins: 30 },
  { id: 'kind', category: 'kind' },
];

async function linkedChart(
  { computations }: Calibration,
  id: string,
  choices: FilterRequest['choices'],
): Promise<LinkedChart> {
  const find = async (request: FilterRequest) => {
    const filtered = await computations.filter(request, pause);
    return filtered.charts.find((chart) => chart.id === id)!;
  };
  return { counts: await find({ charts, choices }), whole: await find({ charts, choices: {} }) };
}
