import type { ScaleContinuousNumeric } from 'd3-scale';

export interface Tick {
  /** Position along the axis in CSS pixels. */
  readonly atPx: number;
  readonly value: number;
  readonly label: string;
}

/** Returns about one tick every `spacingPx`, with as many decimals as needed to distinguish the labels. */
export function ticksOf(
  scale: ScaleContinuousNumeric<number, number>,
  spacingPx: number,
  format?: (value: number) => string,
): Tick[] {
  const [from = 0, to = 0] = scale.range();
  const count = Math.max(1, Math.round(Math.abs(to - from) / spacingPx));
  const label = format ?? scale.tickFormat(count);
  return scale.ticks(count).map((value) => ({ atPx: scale(value), value, label: label(value) }));
}

/** Returns ticks for counts: whole numbers only, with thousands written as "12k". */
export function countTicks(scale: ScaleContinuousNumeric<number, number>, spacingPx: number): Tick[] {
  return ticksOf(scale, spacingPx, formatShortCount).filter(({ value }) => Number.isInteger(value));
}

/** "950", "12k", "1.5M". */
export function formatShortCount(count: number): string {
  const size = Math.abs(count);
  if (size >= 1e6) return `${Number((count / 1e6).toFixed(1))}M`;
  if (size >= 1e4) return `${Number((count / 1e3).toFixed(0))}k`;
  if (size >= 1e3) return `${Number((count / 1e3).toFixed(1))}k`;
  return String(count);
}
