import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shareOf } from '../../math/statistics/share';
import type { KindsReport } from '../../statistics/api';
import { hiddenText, leftOutSentences, uncountedSentence } from './left-out-words';
import {
  bestSentence,
  commonKindsSentence,
  comparisonSentence,
  formatNats,
  kindsSentence,
  likeSentence,
  nearestOf,
  spanText,
  valueName,
} from './trust-words';

const auroc = (value: number, low: number, high: number) => ({ value, low, high, right: 800, wrong: 200 });
const report = (of: ReturnType<typeof auroc>) => ({ figures: undefined, why: undefined, auroc: of, leftOut: 0 });

describe('trust sentences', () => {
  it('states the number of answers, their range, the share and its interval', () => {
    const like = { share: shareOf(1000, 1234), from: 4.9, to: 5.1, rank: 0.4, kinds: undefined };
    expect(likeSentence(like, 'entropy')).toBe(
      'Of 1,234 answers like this one (entropy 4.90 to 5.10 nats), 81 % (79–83 %) were right.',
    );
  });

  it('gives no share for too few answers', () => {
    const like = { share: shareOf(9, 12), from: 4.9, to: 5.1, rank: 0.4, kinds: undefined };
    expect(likeSentence(like, 'entropy')).toContain('Only 12 answers in the calibration');
    expect(likeSentence(like, 'entropy')).not.toContain('75 %');
  });

  it('compares with 5 % of the answers, but at least 100', () => {
    expect([500, 2000, 12_000].map(nearestOf)).toEqual([100, 100, 600]);
  });

  it('shows lengths in whole tokens', () => {
    const span = (from: number, to: number) => spanText({ of: 'length' }, from, to);
    expect([span(0.5, 1.5), span(1.5, 3.5), span(1.2, 4.9)]).toEqual(['1 token', '2 to 3 tokens', '2 to 4 tokens']);
    expect(spanText({ of: 'logProb', pooling: 'mean' }, -1.5, -0.25)).toBe('-1.50 to -0.250 nats');
  });

  it('calls the best choice optimistic, and recommends none with an AUROC below 0.5', () => {
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 18)).toContain('Best of 18 choices on these answers (AUROC 0.62');
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 18)).toContain('the choice was picked on the same data');
    expect(bestSentence(auroc(0.2, 0.18, 0.22), 18)).toContain(
      'None of the 18 choices separates right from wrong answers here: AUROC 0.20',
    );
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 1)).not.toContain('optimistic');
  });

  it('names the better of two values only if their intervals do not overlap', () => {
    const weak = report(auroc(0.6, 0.58, 0.62));
    const strong = report(auroc(0.8, 0.78, 0.82));
    expect(comparisonSentence(strong, weak)).toContain('entropy separates right from wrong answers better');
    expect(comparisonSentence(weak, strong)).toContain(
      'mean log-probability separates right from wrong answers better',
    );
    expect(comparisonSentence(weak, report(auroc(0.61, 0.59, 0.63)))).toContain(
      'entropy and mean log-probability do equally well',
    );
    expect(comparisonSentence(weak, undefined)).toBe('');
  });

  it('names the value, its kind and its pooling', () => {
    expect(valueName({ of: 'entropy', kind: 'sum', pooling: 'content-mean' })).toBe(
      'Entropy, sum-normalised, mean of content tokens',
    );
    expect(valueName({ of: 'entropy', kind: 'given', pooling: 'mean' }, true)).toBe('Entropy');
    expect(valueName({ of: 'logProb', pooling: 'mean' })).toBe('Log-probability, mean of all tokens');
  });

  it('writes infinite values as such, and a missing one as a dash', () => {
    expect([-Infinity, Infinity, Number.NaN].map(formatNats)).toEqual(['-∞', '∞', '–']);
    const like = { share: shareOf(40, 80), from: -Infinity, to: -Infinity, rank: 0.1, kinds: undefined };
    expect(likeSentence(like, 'mean log-probability')).toBe(
      'Of 80 answers like this one (mean log-probability -∞), 50 % (39–61 %) were right.',
    );
  });

  const grouped = (value: number) => ({ ...auroc(value, value - 0.02, value + 0.02), pairs: 9, groups: 2, leftOut: 0 });

  it('gives the AUROC within kinds and of the kinds alone, and says if entropy mostly tells kinds apart', () => {
    const kinds: KindsReport = { by: 'kind', within: [grouped(0.54), grouped(0.86)], alone: grouped(0.73) };
    expect(kindsSentence(kinds, auroc(0.61, 0.58, 0.64))).toBe(
      'Entropy mostly tells one kind of question from another. Among answers to the same kind of question, AUROC is 0.54 (0.52–0.56) for entropy and 0.86 (0.84–0.88) for mean log-probability; the kind of question alone has 0.73 (0.71–0.75).',
    );
    const better: KindsReport = { by: 'set', within: [grouped(0.8)], alone: undefined };
    expect(kindsSentence(better, auroc(0.82, 0.8, 0.84))).toBe(
      'Among answers of the same dataset, AUROC is 0.80 (0.78–0.82) for entropy.',
    );
    expect(kindsSentence({ by: 'none' }, undefined)).toContain('tells no kinds of question apart');
    expect(kindsSentence({ by: 'kind', within: [undefined], alone: undefined }, undefined)).toContain(
      'No kind of question has both right and wrong answers',
    );
    expect(kindsSentence(undefined, undefined)).toBe('');
  });

  it('names the kinds of question among similar answers', () => {
    const like = { share: shareOf(80, 100), from: 4, to: 5, rank: 0.4 };
    const kinds = [
      { name: 'count, shape', n: 45, ofAll: 0.03 },
      { name: 'existence', n: 20, ofAll: 0.2 },
    ];
    expect(commonKindsSentence({ ...like, kinds }, 'kind')).toBe(
      'Answers like this one are mostly answers to the same kinds of question: count, shape 45 % (3 % of all); existence 20 % (20 % of all). Part of their share of right answers is due to the kind of question.',
    );
    expect(commonKindsSentence({ ...like, kinds: kinds.slice(1) }, 'set')).toContain('The most common datasets among');
    expect(commonKindsSentence({ ...like, kinds: undefined }, 'none')).toBe('');
  });

  it('says what the charts and figures leave out', () => {
    const distribution = {
      infinite: { right: { low: 3, high: 0 }, wrong: { low: 9, high: 1 } },
      leftOut: 4,
    } as Parameters<typeof leftOutSentences>[0];
    expect(leftOutSentences(distribution)).toEqual([
      'At the edge, and not in the curves: 3 right answers and 9 wrong answers at -∞ and 1 wrong answer at ∞.',
      'Left out: 4 answers without a value or score.',
    ]);
    const figures = { notAveraged: 5 } as NonNullable<Parameters<typeof uncountedSentence>[0]['figures']>;
    const { figures: _, ...rest } = report(auroc(0.6, 0.5, 0.7));
    expect(uncountedSentence({ ...rest, figures, leftOut: 2 }, { ...rest, figures: undefined, leftOut: 1 })).toBe(
      'Without a value or score, and not counted: 2 answers for entropy and 1 answer for log-probability. With an infinite value, and counted everywhere except in the class means: 5 answers for entropy.',
    );
    expect(uncountedSentence(report(auroc(0.6, 0.5, 0.7)), undefined)).toBe('');
  });

  it('uses the singular for one answer everywhere', () => {
    const count = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(count, count, count, (a, b, c) => {
        const classes = { right: a, wrong: b, unscored: c };
        const texts = [
          likeSentence({ share: shareOf(Math.min(a, b), b), from: 1, to: 2, rank: 0, kinds: undefined }, 'entropy'),
          hiddenText({
            leftOut: a,
            unscored: Uint32Array.of(b),
            below: classes,
            above: classes,
          } as unknown as Parameters<typeof hiddenText>[0]),
          ...leftOutSentences({
            infinite: { right: { low: a, high: c }, wrong: { low: b, high: 0 } },
            leftOut: c,
          } as Parameters<typeof leftOutSentences>[0]),
          uncountedSentence(
            { ...report(auroc(0.6, 0.5, 0.7)), leftOut: a },
            { ...report(auroc(0.6, 0.5, 0.7)), leftOut: b },
          ),
          spanText({ of: 'length' }, a - 0.5, b + 0.5),
        ];
        for (const text of texts) {
          expect(text).not.toMatch(/\b1 (?:right |wrong )?(?:answers|tokens)\b/);
          expect(text).not.toMatch(/\b[023] (?:right |wrong )?(?:answer|token)\b/);
        }
      }),
    );
  });
});
