import { parseCsv } from './csv-records';

export interface CsvDialect {
  readonly separator: string;
  /** Where the table starts in the text, after a line `sep=;`. */
  readonly from: number;
  /** Line of the file at `from`. */
  readonly firstLine: number;
}

const separators = [',', ';', '\t', '|'] as const;

/**
 * Finds the separator: the one that Excel's line `sep=;` names, else the one whose header has the most known names, else
 * the one whose header has the most cells. Counting separators would be misled by names and quoted text.
 */
export function dialectOf(text: string, knownColumns: ReadonlySet<string>): CsvDialect {
  const declared = /^"?sep=([^\r\n"])"?[ \t,;|]*(\r\n|\n|\r|$)/i.exec(text);
  if (declared) return { separator: declared[1]!, from: declared[0].length, firstLine: 2 };
  const start = /^\s*/.exec(text)![0].replace(/[^\r\n]*$/, '').length;
  const ranked = separators
    .map((separator) => ({ separator, names: headerOf(text.slice(start), separator) }))
    .map(({ separator, names }) => ({
      separator,
      known: new Set(names.filter((name) => knownColumns.has(name))).size,
      cells: names.length,
    }))
    .toSorted((a, b) => b.known - a.known || b.cells - a.cells);
  return { separator: ranked[0]!.separator, from: 0, firstLine: 1 };
}

/** Longest header that is considered. */
const maxHeader = 100_000;

function headerOf(text: string, separator: string): string[] {
  // Reading stops at the first line break outside quotes; until then, quotes come in pairs.
  let isQuoted = false;
  let end = 0;
  for (; end < text.length && end < maxHeader; end++) {
    if (text[end] === '"') isQuoted = !isQuoted;
    if (!isQuoted && (text[end] === '\n' || text[end] === '\r')) break;
  }
  try {
    return (parseCsv(text.slice(0, end), separator).cells[0] ?? []).map((name) => name.trim());
  } catch {
    return [];
  }
}
