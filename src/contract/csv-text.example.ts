// Writes CSV text in the dialects that programs write, for tests.

export const lineEnds = ['\n', '\r\n', '\r'] as const;

interface Dialect {
  readonly separator: string;
  readonly lineEnd: string;
  /** Quotes every cell; otherwise only those that need it. */
  readonly quotesAll: boolean;
}

export function csvText(records: readonly (readonly string[])[], { separator, lineEnd, quotesAll }: Dialect): string {
  const quoted = (cell: string) =>
    quotesAll || /["\r\n]|^\s|\s$/.test(cell) || cell.includes(separator) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return records.map((record) => record.map(quoted).join(separator) + lineEnd).join('');
}

const codesOf1252 = new Map(
  [...'€‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\0‘’“”•–—˜™š›œ\0žŸ'].map((letter, i) => [letter, [0x80, ...range(0x82, 0xa0)][i]!]),
);

/** Encodes text; `windows-1252` must be able to represent it. */
export const encoders: Readonly<Record<string, (text: string) => Uint8Array<ArrayBuffer>>> = {
  'utf-8': (text) => new TextEncoder().encode(text),
  'utf-8 with mark': (text) => new TextEncoder().encode(`\ufeff${text}`),
  'utf-16le': (text) => utf16(text, true),
  'utf-16le with mark': (text) => utf16(`\ufeff${text}`, true),
  'utf-16be': (text) => utf16(text, false),
  'utf-16be with mark': (text) => utf16(`\ufeff${text}`, false),
  'windows-1252': (text) => Uint8Array.from([...text], (letter) => codesOf1252.get(letter) ?? letter.charCodeAt(0)),
};

function utf16(text: string, isLittleEndian: boolean): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(text.length * 2));
  for (let i = 0; i < text.length; i++) view.setUint16(i * 2, text.charCodeAt(i), isLittleEndian);
  return new Uint8Array(view.buffer);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
