export interface PlacedPiece {
  /** Including the space before it, if any. */
  readonly text: string;
  /** Whether it starts a word; a sub-token continues the previous word. */
  readonly startsWord: boolean;
}

/** Text of a WordPiece piece within the answer: `##s` joins the word, and a full stop has no space before it. */
export function placePiece(piece: string, isFirst: boolean): PlacedPiece {
  if (piece.startsWith('##')) return { text: piece.slice(2), startsWord: isFirst };
  const isClose = isFirst || /^[.,:;!?)\]}%'’]/.test(piece);
  return { text: isClose ? piece : ` ${piece}`, startsWord: true };
}
