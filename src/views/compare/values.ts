import { type MethodId, methods } from '../../contract/methods';
import type { ValueScale } from '../../state/compare-settings';
import { formatPercent, formatValue } from '../../text/number-format';

/** A panel's value in words that say its unit. */
export function formatInScale(scale: ValueScale, method: MethodId, value: number): string {
  if (scale === 'rank') return `above ${formatPercent(value)}`;
  const isProbability = scale === 'given' && methods[method].values === 'probability';
  return isProbability ? formatValue(value) : `${formatValue(value)} of max`;
}

/** "+0.31", "−0.20", "0.00": never a bare number where the sign is what matters. */
export function formatSigned(value: number): string {
  const text = formatValue(Math.abs(value));
  if (text === '0.00') return text;
  return value > 0 ? `+${text}` : `−${text}`;
}
