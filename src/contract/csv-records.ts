/** A table's records as text, with the line of the file that each starts on. */
export interface CsvRecords {
  readonly cells: readonly (readonly string[])[];
  /** From 1. A quoted cell may contain line breaks, so a record may span several lines. */
  readonly lines: readonly number[];
}

/**
 * Reads RFC 4180 text with any separator and any line ends. Blank lines are skipped. Throws, naming the line, if a quoted
 * cell is never closed or is followed by other text: the records after it would be wrong.
 */
export function parseCsv(text: string, separator: string, firstLine = 1): CsvRecords {
  const cells: string[][] = [];
  const lines: number[] = [];
  let at = 0;
  let line = firstLine;

  function quoted(): string {
    const opened = line;
    let content = '';
    for (;;) {
      const end = text.indexOf('"', at + 1);
      if (end < 0)
        throw new Error(`line ${opened} opens a quoted cell that is never closed. Close it, or double the quote`);
      const part = text.slice(at + 1, end);
      line += countBreaks(part);
      content += part;
      at = end + 1;
      if (text[at] !== '"') return content;
      content += '"';
    }
  }

  function cell(): string {
    const start = at;
    while (text[at] === ' ') at++;
    if (text[at] !== '"') {
      at = start;
      while (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') at++;
      return text.slice(start, at);
    }
    const content = quoted();
    while (text[at] === ' ') at++;
    if (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r')
      throw new Error(
        `line ${line} has text after a closing quote. Write quotes inside a quoted cell twice ("") and quote the whole cell`,
      );
    return content;
  }

  while (at < text.length) {
    const recordLine = line;
    const record = [cell()];
    while (text[at] === separator) {
      at++;
      record.push(cell());
    }
    if (record.length > 1 || record[0]!.trim() !== '') {
      cells.push(record);
      lines.push(recordLine);
    }
    if (at < text.length) {
      at += text[at] === '\r' && text[at + 1] === '\n' ? 2 : 1;
      line++;
    }
  }
  return { cells, lines };
}

function countBreaks(text: string): number {
  let breaks = 0;
  for (let at = 0; at < text.length; at++)
    if (text[at] === '\n' || (text[at] === '\r' && text[at + 1] !== '\n')) breaks++;
  return breaks;
}
