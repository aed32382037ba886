import type { TableEntropy } from '../contract/calibration-table';
import type { AurocInterval } from '../math/statistics/auroc';
import { poolingNames } from '../math/statistics/pooling';
import type { AnswersLike, AnswerValue, ThresholdReport } from '../statistics/api';
import { formatCount, formatShare, formatWhole } from './number-format';

/** As each is written wherever it is named. */
export const entropyNames: Readonly<Record<TableEntropy, string>> = {
  sum: 'Sum-normalised',
  kde: 'KDE',
  bernoulli: 'Bernoulli',
  given: 'As the file gives it',
};

export const entropyFormulas: Readonly<Record<TableEntropy, string>> = {
  sum: 'p is each patch’s share of the map’s sum',
  kde: 'p is the kernel density of the map’s own scores',
  bernoulli: 'mean binary entropy of the patches’ probabilities',
  given: 'the file does not say how it was computed',
};

/** Names the number and how it was pooled: "Entropy, sum-normalised, mean of all tokens". */
export function valueName(value: AnswerValue, isPooled = false): string {
  switch (value.of) {
    case 'entropy': {
      const kind =
        value.kind === 'given' ? '' : `, ${value.kind === 'sum' ? 'sum-normalised' : entropyNames[value.kind]}`;
      return `Entropy${kind}${isPooled ? '' : `, ${poolingNames[value.pooling]}`}`;
    }
    case 'logProb':
      return isPooled ? 'Log-probability' : `Log-probability, ${poolingNames[value.pooling]}`;
    case 'length':
      return 'Answer length';
  }
}

export function valueUnit(value: AnswerValue): string {
  return value.of === 'length' ? 'tokens' : 'nats';
}

/** Two decimals, and more where values are small: log-probabilities of certain answers are thousandths of a nat. */
export function formatNats(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return value.toFixed(size >= 1 ? 2 : size >= 0.1 ? 3 : 4);
}

export function formatOf(value: AnswerValue): (number: number) => string {
  return value.of === 'length' ? (number) => number.toFixed(number % 1 === 0 ? 0 : 1) : formatNats;
}

/** What lies between two edges: "4.90 to 5.10 nats", and of lengths, whose edges lie between whole numbers, "2 to 3 tokens". */
export function spanText(value: AnswerValue, from: number, to: number): string {
  const [least, most] = [Math.ceil(from), Math.floor(to)];
  if (value.of === 'length' && least === most) return formatCount(least, 'token', 'tokens');
  if (value.of === 'length' && least < most) return `${least} to ${most} tokens`;
  const format = formatOf(value);
  return `${format(from)} to ${format(to)} ${valueUnit(value)}`;
}

/** Fewer neighbours than this say nothing of an answer. */
export const leastLike = 50;

/** How many of the nearest answers are asked: a twentieth of all, at least a hundred. */
export function nearestOf(rows: number): number {
  return Math.max(100, Math.round(rows / 20));
}

/** "Of 500 answers like this one (entropy 4.90 to 5.10 nats), 81 % were right (79–83 %)." */
export function likeSentence({ share, from, to }: AnswersLike, name: string): string {
  const span = `${name} ${formatNats(from)} to ${formatNats(to)} nats`;
  if (share.n < leastLike)
    return `Only ${formatWhole(share.n)} calibrated answers can be compared with this one (${span}): too few to say how many of its kind are right.`;
  return `Of ${formatWhole(share.n)} answers like this one (${span}), ${formatShare(share)} were right.`;
}

export function formatAuroc({ value, low, high }: AurocInterval): string {
  return `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** Of the best among `offered` entropies and poolings, whose AUROC is of the answers that it was chosen on. */
export function bestSentence({ value }: AurocInterval, offered: number): string {
  const auroc = `AUROC ${value.toFixed(2)}`;
  if (offered === 1) return `It tells right from wrong here with an ${auroc}.`;
  if (value <= 0.5) return `Of all that could be chosen, none tells right from wrong here: ${auroc} at best.`;
  return `Of all that could be chosen, this tells right from wrong best here: ${auroc}, a little too good, since it was chosen on the same answers.`;
}

/** Whether entropy tells more than the model's own certainty, from both AUROCs. Empty where one is missing. */
export function comparisonSentence(entropy: ThresholdReport | undefined, logProb: ThresholdReport | undefined): string {
  const [a, b] = [entropy?.auroc, logProb?.auroc];
  if (a === undefined || b === undefined) return '';
  const isApart = a.low > b.high || b.low > a.high;
  const [better, other] = a.value > b.value ? [a, b] : [b, a];
  const numbers = `AUROC ${formatAuroc(better)} against ${formatAuroc(other)}`;
  if (!isApart)
    return `Over the calibration it cannot be told which of the two tells right from wrong better: ${numbers}.`;
  return better === a
    ? `Over the calibration entropy tells right from wrong better than mean log-probability does: ${numbers}.`
    : `Over the calibration mean log-probability tells right from wrong better than entropy does: ${numbers}. Where the two disagree, entropy is the weaker sign.`;
}
