/** "0.93", "1.00". */
export function formatValue(value: number): string {
  return value.toFixed(2);
}

/** "97 %", or "99.4 %" near 0 % and 100 %; "<0.1 %" instead of rounding to zero. */
export function formatProbability(logProb: number): string {
  const percent = Math.exp(logProb) * 100;
  if (percent >= 99.95) return '100 %';
  if (percent >= 99 || percent < 10) return percent < 0.1 ? '<0.1 %' : `${percent.toFixed(1)} %`;
  return `${percent.toFixed(0)} %`;
}

/** In decimal units: "730 kB", "12.4 MB"; "0 kB" only for zero bytes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(bytes / 1e3, bytes > 0 ? 1 : 0).toFixed(0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** "2.4 ms", "184 ms", "1.32 s". */
export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** "1 patch", "1,152 patches". */
export function formatCount(count: number, one: string, many: string): string {
  return `${formatWhole(count)} ${count === 1 ? one : many}`;
}

/** "a", "a and b", "a, b and c". */
export function listOf(parts: readonly string[]): string {
  if (parts.length < 2) return parts.join();
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** "12,345". */
export function formatWhole(count: number): string {
  return count.toLocaleString('en');
}

/** Keeps numbers and their percent signs on one line. */
export function unbroken(text: string): string {
  return text.replaceAll(' %', '\u00a0%');
}

/** A share with its interval, "81 % (79–83 %)"; a dash if there is no value. */
export function formatShare({
  value,
  low,
  high,
}: {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}): string {
  if (!Number.isFinite(value)) return '–';
  return `${formatPercent(value)} (${(low * 100).toFixed(0)}–${formatPercent(high)})`;
}
