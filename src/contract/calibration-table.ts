import type { EntropyKind } from '../math/statistics/entropy';
import type { CalibrationFacts } from './calibration';

/** `given`: from a table that does not say which. */
export type TableEntropy = EntropyKind | 'given';

export const tableEntropies: readonly TableEntropy[] = ['sum', 'kde', 'bernoulli', 'given'];

/** Text by row, read when it is asked for. */
export interface TextColumn {
  at(row: number): string | undefined;
}

/** names[codes[row]]; a row that has none is of the name ''. */
export interface CategoryColumn {
  readonly names: readonly string[];
  readonly codes: Uint16Array;
}

/**
 * A calibration's answers, column by column. Tokens of answer `row` are `starts[row]` to `starts[row + 1]` of the
 * token columns. What is not known is NaN.
 */
export interface CalibrationTable {
  /** Undefined for tables that are of no known model. */
  readonly facts: CalibrationFacts | undefined;
  readonly rows: number;
  /** Where the file has one value an answer and no tokens: each answer then has one "token", and poolings say nothing. */
  readonly isPooled: boolean;
  /** [rows], 0..1; right where at least `rightFrom`. */
  readonly correct: Float32Array;
  /** [rows], tokens of the answer; of a pooled table NaN where the file does not say. */
  readonly length: Float32Array;
  /** [rows + 1] */
  readonly starts: Uint32Array;
  /** [starts[rows]], nats, at most 0. */
  readonly logProbs: Float32Array | undefined;
  /** [starts[rows]], 1 for tokens that carry content; undefined where the file does not say. */
  readonly isContent: Uint8Array | undefined;
  /** Each [starts[rows]], nats. */
  readonly entropies: Partial<Readonly<Record<TableEntropy, Float32Array>>>;
  readonly set: CategoryColumn;
  readonly kind: CategoryColumn;
  readonly variety: CategoryColumn;
  readonly id: TextColumn;
  readonly question: TextColumn;
  readonly answer: TextColumn;
  readonly reference: TextColumn;
  /** Relative to the file's address. */
  readonly image: TextColumn;
  /** [rows], cell of the sprite sheet; -1 where there is none. */
  readonly thumbnail: Int32Array;
  /** The tokens' texts of a row, as far as the file has them. */
  tokensAt(row: number): readonly string[];
}

/** An answer that scores this much counts as right where only right and wrong are told apart. */
export const rightFrom = 0.5;
