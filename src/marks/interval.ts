/** The ends of an interval in the units of its scale, and its position across the scale in CSS pixels. */
interface PlacedInterval {
  readonly atPx: number;
  readonly low: number;
  readonly high: number;
}

const capPx = 2.5;

/** SVG path data of upright lines with caps, one for each interval. */
export function intervalsPathData(intervals: readonly PlacedInterval[], y: (value: number) => number): string {
  return intervals
    .map(({ atPx, low, high }) => {
      const [left, bottom, top] = [round(atPx - capPx), round(y(low)), round(y(high))];
      return `M${left} ${bottom}h${2 * capPx}M${round(atPx)} ${bottom}V${top}M${left} ${top}h${2 * capPx}`;
    })
    .join('');
}

const round = (px: number) => Math.round(px * 10) / 10;
