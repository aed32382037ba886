/** "0.93", and "1.00" for one. */
export function formatValue(value: number): string {
  return value.toFixed(2);
}

/** "97 %", "99.4 %" near the ends, "<0.1 %" rather than a zero that is not one. */
export function formatProbability(logProb: number): string {
  const percent = Math.exp(logProb) * 100;
  if (percent >= 99.95) return '100 %';
  if (percent >= 99 || percent < 10) return percent < 0.1 ? '<0.1 %' : `${percent.toFixed(1)} %`;
  return `${percent.toFixed(0)} %`;
}

/** Decimal megabytes, as file sizes are advertised: "12.4 MB". */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
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

/** "1 patch", "12 patches". */
export function formatCount(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** "12,345". */
export function formatWhole(count: number): string {
  return count.toLocaleString('en');
}

/** A number keeps its percent sign on its line. */
export function unbroken(text: string): string {
  return text.replaceAll(' %', '\u00a0%');
}

/** "81 % (79–83 %)", a share with its interval; a dash where there is none. */
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
