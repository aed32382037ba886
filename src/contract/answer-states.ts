// The states of an answer that heads compute its maps from.

/** Hidden states or unembedding rows [rows, cols], row-major: fp16 bit patterns or float32. May be a view of a larger buffer. */
export interface StateRows {
  readonly values: Uint16Array | Float32Array;
  readonly rows: number;
  readonly cols: number;
}

export interface TokenStates {
  /** [1, d]: the state that predicted the token. */
  readonly query: StateRows;
  /**
   * [P]: what FastRM+ adds to the logits of the patches, computed from the token's attention over them. Undefined if the
   * model has no FastRM+ head, or had none when the run was recorded.
   */
  readonly attentionLogits?: Float32Array | undefined;
}

export interface AnswerStates {
  /** [P, d], one row per patch: frames in order, each row-major. */
  readonly patches: StateRows;
  /** One per token, in order. */
  readonly tokens: readonly TokenStates[];
}
