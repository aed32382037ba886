/** A text's first clause, up to its first colon, semicolon or full stop, as a sentence; abbreviations and decimals do not end it. */
export function firstClause(text: string): string {
  const match = /^(.+?)(?:[:;]|\.(?=\s+\p{Lu}|\s*$))/su.exec(text.trim());
  const clause = (match?.[1] ?? text).trim();
  return clause === '' ? '' : `${clause}.`;
}
