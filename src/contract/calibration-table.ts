import type { EntropyKind } from '../math/statistics/entropy';
import type { CalibrationFacts } from './calibration';

/** `given`: an entropy whose kind the table does not name. */
export type TableEntropy = EntropyKind | 'given';

export const tableEntropies: readonly TableEntropy[] = ['sum', 'kde', 'bernoulli', 'given'];

/** One string per row, read on demand. */
export interface TextColumn {
  at(row: number): string | undefined;
}

/** A row's category is names[codes[row]], or '' if it has none. */
export interface CategoryColumn {
  readonly names: readonly string[];
  readonly codes: Uint16Array;
}

/**
 * A calibration's answers, column by column. The tokens of answer `row` are `starts[row]` to `starts[row + 1]` in the
 * token columns. Unknown values are NaN.
 */
export interface CalibrationTable {
  /** Undefined if the table does not name its model. */
  readonly facts: CalibrationFacts | undefined;
  readonly rows: number;
  /**
   * True if the file has one value per answer and no tokens: each answer then counts as one token, and pooling has no
   * effect.
   */
  readonly isPooled: boolean;
  /** [rows], 0..1; an answer is right if it scores at least `minRightScore`. */
  readonly correct: Float32Array;
  /** [rows], tokens per answer; NaN in a pooled table without lengths. */
  readonly length: Float32Array;
  /** [rows + 1] */
  readonly starts: Uint32Array;
  /** [starts[rows]], nats, at most 0. */
  readonly logProbs: Float32Array | undefined;
  /** [starts[rows]], 1 for content tokens; undefined if the file does not have this column. */
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
  /** Relative to the file's URL. */
  readonly image: TextColumn;
  /** [rows], index of the cell in the sprite sheet; -1 if there is none. */
  readonly thumbnail: Int32Array;
  /** Assumptions made in reading the file and values that could not be used, as sentences for the user. */
  readonly notes: readonly string[];
  /** The text of each token in a row; empty if the file has none. */
  tokensAt(row: number): readonly string[];
}

/** An answer is right if its score is at least this, and wrong otherwise. */
export const minRightScore = 0.5;
