export interface PlacedPiece {
  /** Includes the space before the piece, if any. */
  readonly text: string;
  /** Whether the piece starts a word; a sub-token continues the previous word. */
  readonly startsWord: boolean;
}

/**
 * Returns the text of a WordPiece piece in the answer: `##s` continues a word, and a full stop has no space before it.
 */
export function placePiece(piece: string, isFirst: boolean): PlacedPiece {
  if (piece.startsWith('##')) return { text: piece.slice(2), startsWord: isFirst };
  const isClose = isFirst || /^[.,:;!?)\]}%'’]/.test(piece);
  return { text: isClose ? piece : ` ${piece}`, startsWord: true };
}
