/** Controls, format characters and other characters that show nothing; tabs and line breaks are white space instead. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu;
const whiteSpace = /[\t-\r\u0085\p{Z}]/u;

/**
 * The text as a reader sees it: composed characters (NFC), a plain space for each kind of space, and nothing for
 * characters that show nothing.
 */
export function visibleText(text: string): string {
  return Array.from(text.normalize('NFC'), (char) => (whiteSpace.test(char) ? ' ' : char))
    .join('')
    .replace(invisible, '');
}

/** Whether a reader sees nothing. */
export function isBlank(text: string): boolean {
  return visibleText(text).trim() === '';
}

/** The text if it is short, otherwise its beginning and an ellipsis. */
export function shortened(text: string, maxChars = 60): string {
  if (text.length <= maxChars) return text;
  const chars = Array.from(text);
  return chars.length <= maxChars ? text : `${chars.slice(0, maxChars - 1).join('')}…`;
}

const maxQuoted = 40;

/** A text in quotation marks, for a message: shortened if it is long, with invisible characters named. */
export function quoted(text: string): string {
  return `“${shortened(text, maxQuoted).replace(invisible, named)}”`;
}

function named(char: string): string {
  return `[U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`;
}

const maxListed = 8;

/** Texts in quotation marks, as a list: “a”, “b” and “c”. Beyond eight, the rest are counted. */
export function quotedList(texts: readonly string[]): string {
  const listed = texts.slice(0, maxListed).map(quoted);
  const rest = texts.length - listed.length;
  const all = rest > 0 ? [...listed, `${rest} more`] : listed;
  const last = all.pop() ?? '';
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`;
}

/**
 * Visible sign and accessible name for a token that is white space or part of a character. Such a token has a map too,
 * so it must be selectable.
 */
export function signOf(text: string): { readonly sign: string; readonly name: string } | undefined {
  if (text.trim() !== '') return undefined;
  if (text.includes('\n')) return { sign: '↵', name: 'line break' };
  return text === '' ? { sign: '·', name: 'part of a character' } : { sign: '␣', name: 'space' };
}
