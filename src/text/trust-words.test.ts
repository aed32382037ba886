import { describe, expect, it } from 'vitest';
import { shareOf } from '../math/statistics/share';
import { bestSentence, comparisonSentence, likeSentence, nearestOf, spanText, valueName } from './trust-words';

const auroc = (value: number, low: number, high: number) => ({ value, low, high, right: 800, wrong: 200 });
const report = (of: ReturnType<typeof auroc>) => ({ figures: undefined, why: undefined, auroc: of, leftOut: 0 });

describe('what is said of an answer', () => {
  it('gives how many, of what span, the share and its interval', () => {
    const like = { share: shareOf(1000, 1234), from: 4.9, to: 5.1, rank: 0.4 };
    expect(likeSentence(like, 'entropy')).toBe(
      'Of 1,234 answers like this one (entropy 4.90 to 5.10 nats), 81 % (79–83 %) were right.',
    );
  });

  it('refuses a share of too few', () => {
    const like = { share: shareOf(9, 12), from: 4.9, to: 5.1, rank: 0.4 };
    expect(likeSentence(like, 'entropy')).toContain('Only 12 calibrated answers');
    expect(likeSentence(like, 'entropy')).not.toContain('75 %');
  });

  it('asks a twentieth of the answers, and never fewer than a hundred', () => {
    expect([500, 2000, 12_000].map(nearestOf)).toEqual([100, 100, 600]);
  });

  it('counts lengths in whole tokens', () => {
    const span = (from: number, to: number) => spanText({ of: 'length' }, from, to);
    expect([span(0.5, 1.5), span(1.5, 3.5), span(1.2, 4.9)]).toEqual(['1 token', '2 to 3 tokens', '2 to 4 tokens']);
    expect(spanText({ of: 'logProb', pooling: 'mean' }, -1.5, -0.25)).toBe('-1.50 to -0.250 nats');
  });

  it('says of the best that it was chosen on the same answers, and praises none that points the wrong way', () => {
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 18)).toContain('this tells right from wrong best here: AUROC 0.62');
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 18)).toContain('chosen on the same answers');
    expect(bestSentence(auroc(0.2, 0.18, 0.22), 18)).toContain('none tells right from wrong here: AUROC 0.20');
    expect(bestSentence(auroc(0.62, 0.6, 0.64), 1)).not.toContain('chosen');
  });

  it('says which of two signs is the better one, and only where their intervals lie apart', () => {
    const weak = report(auroc(0.6, 0.58, 0.62));
    const strong = report(auroc(0.8, 0.78, 0.82));
    expect(comparisonSentence(strong, weak)).toContain('entropy tells right from wrong better');
    expect(comparisonSentence(weak, strong)).toContain('mean log-probability tells right from wrong better');
    expect(comparisonSentence(weak, report(auroc(0.61, 0.59, 0.63)))).toContain('cannot be told which');
    expect(comparisonSentence(weak, undefined)).toBe('');
  });

  it('names the number, its sense and its pooling', () => {
    expect(valueName({ of: 'entropy', kind: 'sum', pooling: 'content-mean' })).toBe(
      'Entropy, sum-normalised, mean of content tokens',
    );
    expect(valueName({ of: 'entropy', kind: 'given', pooling: 'mean' }, true)).toBe('Entropy');
    expect(valueName({ of: 'logProb', pooling: 'mean' })).toBe('Log-probability, mean of all tokens');
  });
});
