// Straightforward implementations of the page's statistics, as a baseline.
import { createRandom } from '../../src/math/random';
import { exactDensity, scottBandwidth } from '../../src/math/statistics/kernel-density';

export type PlainRequest =
  | { readonly task: 'bands'; readonly rows: number; readonly resamples: number; readonly points: number }
  | { readonly task: 'brush'; readonly rows: number; readonly rounds: number };

export interface PlainReply {
  readonly ms: number;
}

export interface MadeUpAnswer {
  readonly entropy: number;
  readonly logProb: number;
  readonly length: number;
  readonly set: string;
  readonly kind: string;
  readonly correct: 0 | 1;
}

/** Three in four answers are right; wrong ones have slightly higher entropies. */
export function madeUpAnswers(rows: number): MadeUpAnswer[] {
  const { unit, normal } = createRandom(11);
  return Array.from({ length: rows }, () => {
    const correct = unit() < 0.75 ? 1 : 0;
    return {
      entropy: 4 + 0.4 * normal() + (correct ? 0 : 0.3),
      logProb: -Math.abs(normal()),
      length: 1 + Math.floor(20 * unit()),
      set: `set ${Math.floor(3 * unit())}`,
      kind: `kind ${Math.floor(5 * unit())}`,
      correct,
    };
  });
}

export function measurePlain(request: PlainRequest): number {
  const answers = madeUpAnswers(request.rows);
  return request.task === 'bands' ? plainBands(answers, request) : plainBrush(answers, request.rounds);
}

function plainBands(answers: readonly MadeUpAnswer[], { resamples, points }: { resamples: number; points: number }) {
  const from = performance.now();
  for (const correct of [1, 0]) {
    const values = answers.filter((answer) => answer.correct === correct).map(({ entropy }) => entropy);
    const grid = { from: Math.min(...values), to: Math.max(...values), points };
    const bandwidth = scottBandwidth(values);
    const { unit } = createRandom(1);
    const densities = Array.from({ length: resamples }, () =>
      exactDensity(
        values.map(() => values[Math.floor(unit() * values.length)]!),
        grid,
        bandwidth,
      ),
    );
    for (let point = 0; point < points; point++) densities.map((density) => density[point]!).sort((a, b) => a - b);
  }
  return performance.now() - from;
}

type Test = (answer: MadeUpAnswer) => boolean;

function plainBrush(answers: readonly MadeUpAnswer[], rounds: number): number {
  const { unit } = createRandom(1);
  const binOf: readonly ((answer: MadeUpAnswer) => string)[] = [
    ({ entropy }) => String(Math.floor(10 * entropy)),
    ({ logProb }) => String(Math.floor(10 * logProb)),
    ({ length }) => String(length),
    ({ set }) => set,
    ({ kind }) => kind,
    ({ correct }) => String(correct),
  ];
  const times = Array.from({ length: rounds }, () => {
    const low = 3.5 + 0.5 * unit();
    const tests: Test[] = binOf.map(() => () => true);
    tests[0] = ({ entropy }) => entropy >= low && entropy < low + 0.5;
    tests[1] = ({ logProb }) => logProb >= -1.5 && logProb < -0.1;
    const from = performance.now();
    for (const [chart, bin] of binOf.entries()) {
      const counts = new Map<string, number>();
      for (const answer of answers.filter((row) => tests.every((test, other) => other === chart || test(row)))) {
        const key = `${bin(answer)} ${answer.correct}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    return performance.now() - from;
  });
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}
