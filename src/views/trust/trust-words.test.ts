import { describe, expect, it } from 'vitest';
import { shareOf } from '../../math/statistics/share';
import { bestSentence, comparisonSentence, likeSentence, nearestOf, spanText, valueName } from './trust-words';

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
});
