import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { aurocInterval } from './auroc';
import { isSetHalf } from './calibration-threshold';
import fixture from './fixtures/calibration.json';
import { type GroupedAnswers, groupAloneAuroc, groupedAuroc } from './grouped-auroc';

const { right, wrong, grouped, threshold } = fixture;
const values = [...right, ...wrong];
const isRight = values.map((_, i) => (i < right.length ? 1 : 0));
const exact = { resamples: 0, seed: 1 };

/** The reference: looks at every pair of answers. */
function plainAuroc({ values, isRight, groups }: GroupedAnswers) {
  let below = 0;
  let pairs = 0;
  for (let r = 0; r < values.length; r++)
    for (let w = 0; w < values.length; w++) {
      if (!isRight[r] || isRight[w] || groups[r]! < 0 || groups[r] !== groups[w]) continue;
      pairs++;
      below += values[r]! < values[w]! ? 1 : values[r]! === values[w]! ? 0.5 : 0;
    }
  return { pairs, value: below / pairs };
}

describe('AUROC within groups', () => {
  it.each(['within', 'tied'] as const)('matches Python, %s', (name) => {
    const used = name === 'tied' ? values.map((value) => Number(value.toFixed(1))) : values;
    const actual = groupedAuroc({ values: used, isRight, groups: grouped.groups }, 'below', {
      resamples: 2000,
      seed: 1,
    })!;
    const expected = grouped[name];
    expect(actual).toMatchObject({ pairs: expected.pairs, groups: expected.groups, leftOut: expected.leftOut });
    // NumPy rounds halves to even, so a few ties differ.
    expect(actual.value).toBeCloseTo(expected.value, name === 'tied' ? 3 : 12);
    // A 2.5 % percentile of 1000 resamples is accurate to about 7 % of half the interval.
    expect(Math.abs(actual.low - expected.low)).toBeLessThan(0.1 * (expected.high - expected.low));
    expect(Math.abs(actual.high - expected.high)).toBeLessThan(0.1 * (expected.high - expected.low));
  });

  it('of any values and groups matches looking at every pair', () => {
    const answer = fc.tuple(
      fc.oneof(fc.constantFrom(-Infinity, Infinity, 0, 1), fc.double({ noNaN: true })),
      fc.integer({ min: 0, max: 1 }),
      fc.integer({ min: -1, max: 3 }),
    );
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 40 }), (rows) => {
        const answers = {
          values: rows.map(([value]) => value),
          isRight: rows.map(([, cls]) => cls),
          groups: rows.map(([, , group]) => group),
        };
        const expected = plainAuroc(answers);
        const actual = groupedAuroc(answers, 'below', exact);
        if (expected.pairs === 0) expect(actual).toBeUndefined();
        else {
          expect(actual!.pairs).toBe(expected.pairs);
          expect(actual!.value).toBeCloseTo(expected.value, 12);
          expect(actual!.right + actual!.wrong + actual!.leftOut).toBe(rows.length);
          expect(groupedAuroc(answers, 'above', exact)!.value).toBeCloseTo(1 - expected.value, 12);
        }
      }),
    );
  });

  it('of one group has the value and the interval of all answers', () => {
    const options = { resamples: 3000, seed: 4 };
    const actual = groupedAuroc({ values, isRight, groups: new Int32Array(values.length) }, 'below', options)!;
    const all = aurocInterval(right, wrong, 'below', options)!;
    expect(actual).toMatchObject({ value: all.value, right: all.right, wrong: all.wrong, leftOut: 0 });
    expect(Math.abs(actual.low - all.low)).toBeLessThan(0.06 * (all.high - all.low));
    expect(Math.abs(actual.high - all.high)).toBeLessThan(0.06 * (all.high - all.low));
  });

  it('has an interval as wide for many answers, drawn per cell, as DeLong’s variance', () => {
    const { unit } = createRandom(5);
    const rows = Array.from({ length: 24_000 }, () => ({ group: Math.floor(unit() * 12), isRight: unit() < 0.7 }));
    const answers = {
      values: rows.map(({ group, isRight }) => group + unit() ** (isRight ? 1.5 : 1)),
      isRight: rows.map(({ isRight }) => Number(isRight)),
      groups: rows.map(({ group }) => group),
    };
    const actual = groupedAuroc(answers, 'below', { resamples: 400, seed: 1 })!;
    expect(actual.value).toBeCloseTo(0.6, 2);
    // Hanley and McNeil's variance of one group of all these answers is the same to within a few per cent.
    const a = actual.value;
    const [q1, q2] = [a / (2 - a), (2 * a * a) / (1 + a)];
    const [r, w] = [actual.right / 12, actual.wrong / 12];
    const variance = (a * (1 - a) + (w - 1) * (q1 - a * a) + (r - 1) * (q2 - a * a)) / (r * w) / 12;
    const ratio = (actual.high - actual.low) / (2 * 1.96 * Math.sqrt(variance));
    expect(ratio).toBeGreaterThan(0.8);
    expect(ratio).toBeLessThan(1.2);
  });
});

describe('the AUROC of the groups alone', () => {
  it('matches Python', () => {
    const actual = groupAloneAuroc(isRight, grouped.groups, threshold.rows, { resamples: 0, seed: 7 })!;
    const { value, pairs, leftOut } = grouped.alone;
    expect(actual).toMatchObject({ pairs, leftOut });
    expect(actual.value).toBeCloseTo(value, 12);
  });

  it('rates a group by the other half of the answers, compared with rating each answer separately', () => {
    const { unit } = createRandom(9);
    const groups = Int32Array.from({ length: 400 }, () => Math.floor(unit() * 8) - 1);
    const classes = Array.from(groups, (group) => Number(unit() < (group + 1) / 9));
    const rows = groups.map((_, i) => i * 3);
    const half = Array.from(rows, (row) => Number(isSetHalf(row, 2)));
    const rates = Array.from(groups, (group, i) => {
      const same = [...groups.keys()].filter((j) => half[j] !== half[i] && groups[j] === group);
      return same.reduce((sum, j) => sum + classes[j]!, 0) / same.length;
    });
    const expected = plainAuroc({
      values: rates,
      isRight: classes,
      groups: half.map((of, i) => (groups[i]! < 0 ? -1 : of)),
    });
    const actual = groupAloneAuroc(classes, groups, rows, { resamples: 0, seed: 2 })!;
    expect(actual.value).toBeCloseTo(1 - expected.value, 12);
    expect(actual.pairs).toBe(expected.pairs);
  });

  it('is near one half if every answer has a group of its own', () => {
    const groups = isRight.map((_, i) => i);
    expect(groupAloneAuroc(isRight, groups, threshold.rows, exact)!.value).toBe(0.5);
  });
});
