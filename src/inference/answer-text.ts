export interface PlacedPiece {
  /** With the space before it, if it has one. */
  readonly text: string;
  /** Whether it starts a word; a sub-token goes on with the word before. */
  readonly startsWord: boolean;
}

/** How a WordPiece piece reads after what has been said: `##s` joins the word, a full stop stands close. */
export function placePiece(piece: string, isFirst: boolean): PlacedPiece {
  if (piece.startsWith('##')) return { text: piece.slice(2), startsWord: isFirst };
  const stands = isFirst || /^[.,:;!?)\]}%'’]/.test(piece);
  return { text: stands ? piece : ` ${piece}`, startsWord: true };
}
