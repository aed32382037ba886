import { type MethodId, methods } from '../../contract/methods';
import type { ValueScale } from '../../state/compare-settings';
import { formatPercent, formatValue } from '../../text/number-format';

/** Formats a panel's value with its unit. */
export function formatInScale(scale: ValueScale, method: MethodId, value: number): string {
  if (scale === 'rank') return formatRank(value);
  const isProbability = scale === 'given' && methods[method].values === 'probability';
  return isProbability ? formatValue(value) : `${formatValue(value)} of max`;
}

/** The share of the other patches that have a lower value; only the highest is above all, only the lowest above none. */
function formatRank(share: number): string {
  if (share >= 1) return 'above all others';
  if (share <= 0) return 'above no other';
  const percent = share * 100;
  if (percent >= 99.5) return `above ${(Math.floor(percent * 10) / 10).toFixed(1)} %`;
  return percent < 0.5 ? `above ${(Math.ceil(percent * 10) / 10).toFixed(1)} %` : `above ${formatPercent(share)}`;
}

/** "+0.31", "−0.20", "0.00": nonzero values always have a sign. */
export function formatSigned(value: number): string {
  const text = formatValue(Math.abs(value));
  if (text === '0.00') return text;
  return value > 0 ? `+${text}` : `−${text}`;
}
