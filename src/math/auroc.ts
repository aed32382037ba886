/**
 * The share of pairs (a right and a wrong answer) that the value puts in the expected order, ties counting half; with
 * a 95 % percentile bootstrap interval, resampled within each class.
 */
export interface AurocInterval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly right: number;
  readonly wrong: number;
}
