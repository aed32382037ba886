import type { TableEntropy } from '../../contract/calibration-table';
import type { AurocInterval } from '../../math/statistics/auroc';
import { poolingNames } from '../../math/statistics/pooling';
import type { AnswersLike, AnswerValue, KindsReport, LoadedCalibration, ThresholdReport } from '../../statistics/api';
import { formatCount, formatPercent, formatShare } from '../../text/number-format';

/** Display names. */
export const entropyNames: Readonly<Record<TableEntropy, string>> = {
  sum: 'Sum-normalised',
  kde: 'KDE',
  bernoulli: 'Bernoulli',
  given: 'As given in the file',
};

export const entropyFormulas: Readonly<Record<TableEntropy, string>> = {
  sum: 'p is each patch’s share of the map’s sum',
  kde: 'p is the kernel density of the map’s own scores',
  bernoulli: 'mean binary entropy of the patches’ probabilities',
  given: 'the file does not say how it was computed',
};

/** Name of a value with its pooling: "Entropy, sum-normalised, mean of all tokens". */
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

/** Two to four decimals, more for small values: a confident answer's log-probability may be thousandths of a nat. */
export function formatNats(value: number): string {
  if (Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value < 0 ? '-∞' : '∞';
  const size = Math.abs(value);
  return value.toFixed(size >= 1 ? 2 : size >= 0.1 ? 3 : 4);
}

export function formatOf(value: AnswerValue): (number: number) => string {
  return value.of === 'length' ? (number) => number.toFixed(number % 1 === 0 ? 0 : 1) : formatNats;
}

/** The range between two bin edges: "4.90 to 5.10 nats", or "2 to 3 tokens" for lengths, whose edges may be fractional. */
export function spanText(value: AnswerValue, from: number, to: number): string {
  const [min, max] = [Math.ceil(from), Math.floor(to)];
  if (value.of === 'length' && min === max) return formatCount(min, 'token', 'tokens');
  if (value.of === 'length' && min < max) return `${min} to ${formatCount(max, 'token', 'tokens')}`;
  const format = formatOf(value);
  return `${format(from)} to ${format(to)} ${valueUnit(value)}`;
}

/** Minimum number of scored neighbours for an estimate. */
const minNeighbours = 50;

/** Number of nearest answers to compare with: 5 % of all, but at least 100. */
export function nearestOf(rows: number): number {
  return Math.max(100, Math.round(rows / 20));
}

/** "Of 500 answers like this one (entropy 4.90 to 5.10 nats), 81 % (79–83 %) were right." */
export function likeSentence({ share, from, to }: AnswersLike, name: string): string {
  const span = Number.isFinite(from)
    ? `${name} ${formatNats(from)} to ${formatNats(to)} nats`
    : `${name} ${formatNats(from)}`;
  if (share.n < minNeighbours)
    return `Only ${formatCount(share.n, 'answer', 'answers')} in the calibration to compare this one with (${span}): too few to estimate how many are right.`;
  return `Of ${formatCount(share.n, 'answer', 'answers')} like this one (${span}), ${formatShare(share)} were right.`;
}

/** What the nearest answers have in common besides their value: their kinds of question. Empty if the table has none. */
export function commonKindsSentence({ share, kinds = [] }: AnswersLike, by: LoadedCalibration['kindsBy']): string {
  if (by === 'none' || kinds.length === 0) return '';
  const ofThese = kinds.reduce((sum, { n }) => sum + n, 0) / share.n;
  const ofAll = kinds.reduce((sum, kind) => sum + kind.ofAll, 0);
  const noun = by === 'kind' ? 'kind of question' : 'dataset';
  const nouns = by === 'kind' ? 'kinds of question' : 'datasets';
  const list = kinds.map(
    ({ name, n, ofAll }) => `${name} ${formatPercent(n / share.n)} (${formatPercent(ofAll)} of all)`,
  );
  const lead =
    ofThese >= 0.5 && ofThese > ofAll
      ? `Answers like this one are mostly answers ${by === 'kind' ? 'to' : 'of'} the same ${kinds.length === 1 ? noun : nouns}`
      : `The most common ${nouns} among answers like this one`;
  return `${lead}: ${list.join('; ')}. Part of their share of right answers is due to the ${noun}.`;
}

/**
 * The AUROC within kinds of question, of entropy and then of log-probability if the table has it, and the AUROC of the
 * kinds alone. `entropy` is the AUROC over all pairs. Empty while the report is pending.
 */
export function kindsSentence(report: KindsReport | undefined, entropy: AurocInterval | undefined): string {
  if (report === undefined) return '';
  if (report.by === 'none')
    return 'The file tells no kinds of question apart (columns kind, variety and set), so part of these figures may be due to the mix of questions.';
  const noun = report.by === 'kind' ? 'kind of question' : 'dataset';
  const among = report.by === 'kind' ? `answers to the same ${noun}` : `answers of the same ${noun}`;
  const [a, b] = report.within;
  if (a === undefined) return `No ${noun} has both right and wrong answers, so they cannot be compared within one.`;
  const within = `Among ${among}, AUROC is ${formatAuroc(a)} for entropy${b ? ` and ${formatAuroc(b)} for mean log-probability` : ''}`;
  const alone = report.alone ? `; the ${noun} alone has ${formatAuroc(report.alone)}` : '';
  const isMix = entropy !== undefined && entropy.value > 0.5 && a.value - 0.5 < (entropy.value - 0.5) / 2;
  return `${isMix ? `Entropy mostly tells one ${noun} from another. ` : ''}${within}${alone}.`;
}

/** "0.61 (0.58–0.64)". */
function formatAuroc({ value, low, high }: AurocInterval): string {
  return `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/**
 * Describes the best of the `offered` choices of entropy and pooling. The AUROC is measured on the same answers that
 * the choice was based on.
 */
export function bestSentence({ value }: AurocInterval, offered: number): string {
  const auroc = `AUROC ${value.toFixed(2)}`;
  if (offered === 1) return `It separates right from wrong answers (${auroc}).`;
  if (value <= 0.5) return `None of the ${offered} choices separates right from wrong answers here: ${auroc} at best.`;
  return `Best of ${offered} choices on these answers (${auroc}; slightly optimistic, as the choice was picked on the same data).`;
}

/** Compares the AUROCs of entropy and log-probability. Empty if either is missing. */
export function comparisonSentence(entropy: ThresholdReport | undefined, logProb: ThresholdReport | undefined): string {
  const [a, b] = [entropy?.auroc, logProb?.auroc];
  if (a === undefined || b === undefined) return '';
  const isApart = a.low > b.high || b.low > a.high;
  const [better, other] = a.value > b.value ? [a, b] : [b, a];
  const numbers = `AUROC ${formatAuroc(better)} against ${formatAuroc(other)}`;
  if (!isApart) return `On the calibration data, entropy and mean log-probability do equally well: ${numbers}.`;
  return better === a
    ? `On the calibration data, entropy separates right from wrong answers better than mean log-probability: ${numbers}.`
    : `On the calibration data, mean log-probability separates right from wrong answers better than entropy: ${numbers}. If the two disagree, trust log-probability more.`;
}
