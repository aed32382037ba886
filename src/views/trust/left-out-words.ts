// What the charts and figures leave out, in words: nothing is dropped without being counted.
import type { ChartCounts, ClassCounts, Distribution, ThresholdReport } from '../../statistics/api';
import { formatCount, listOf } from '../../text/number-format';

export const totalOf = ({ right, wrong, unscored }: ClassCounts) => right + wrong + unscored;

/** "12 answers at -∞"; empty if there are none. */
export function beyondText(counts: ClassCounts, place: string): string {
  const n = totalOf(counts);
  return n === 0 ? '' : `${formatCount(n, 'answer', 'answers')} at ${place}`;
}

/** The answers that the bars leave out, as a sentence; empty if there are none. */
export function hiddenText({ leftOut, unscored, below, above }: ChartCounts): string {
  const withoutScore = unscored.reduce((sum, count) => sum + count, 0) + below.unscored + above.unscored;
  const parts = [
    ...(leftOut > 0 ? [`${formatCount(leftOut, 'answer', 'answers')} without this value`] : []),
    ...(withoutScore > 0 ? [`${formatCount(withoutScore, 'answer', 'answers')} without a score`] : []),
  ];
  return parts.length === 0 ? '' : ` Not shown: ${listOf(parts)}.`;
}

/** The ends of the axis beyond which there are answers, with their number. */
export function infiniteEnds({ infinite: { right, wrong } }: Distribution) {
  const ends = [
    { side: 'low', place: '-∞', right: right.low, wrong: wrong.low },
    { side: 'high', place: '∞', right: right.high, wrong: wrong.high },
  ] as const;
  return ends.map((end) => ({ ...end, n: end.right + end.wrong })).filter(({ n }) => n > 0);
}

/** Which answers the curves and bars leave out, and how many. */
export function leftOutSentences(distribution: Distribution): string[] {
  const { leftOut } = distribution;
  const beyond = infiniteEnds(distribution).map(({ place, right, wrong }) => {
    const counts = [
      ...(right > 0 ? [formatCount(right, 'right answer', 'right answers')] : []),
      ...(wrong > 0 ? [formatCount(wrong, 'wrong answer', 'wrong answers')] : []),
    ];
    return `${listOf(counts)} at ${place}`;
  });
  return [
    ...(beyond.length > 0 ? [`At the edge, and not in the curves: ${listOf(beyond)}.`] : []),
    ...(leftOut > 0 ? [`Left out: ${formatCount(leftOut, 'answer', 'answers')} without a value or score.`] : []),
  ];
}

/** Says which answers the figures leave out, and which ones the threshold's means do. Empty if all are included. */
export function uncountedSentence(entropy: ThresholdReport, logProb: ThresholdReport | undefined): string {
  const of = (name: string, report: ThresholdReport | undefined) => {
    const { leftOut = 0, figures } = report ?? {};
    const infinite = figures?.notAveraged ?? 0;
    return {
      leftOut: leftOut > 0 ? [`${formatCount(leftOut, 'answer', 'answers')} for ${name}`] : [],
      infinite: infinite > 0 ? [`${formatCount(infinite, 'answer', 'answers')} for ${name}`] : [],
    };
  };
  const [a, b] = [of('entropy', entropy), of('log-probability', logProb)];
  const leftOut = [...a.leftOut, ...b.leftOut];
  const infinite = [...a.infinite, ...b.infinite];
  return [
    ...(leftOut.length > 0 ? [`Without a value or score, and not counted: ${listOf(leftOut)}.`] : []),
    ...(infinite.length > 0
      ? [`With an infinite value, and counted everywhere except in the class means: ${listOf(infinite)}.`]
      : []),
  ].join(' ');
}
