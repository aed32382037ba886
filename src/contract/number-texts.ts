// Numbers as programs write them in text: pandas, Polars, DuckDB, R and spreadsheets each have their own missing values,
// infinities and decimal mark.

export type DecimalMark = '.' | ',';

const missing = new Set([
  ...['', '.', 'nan', '+nan', '-nan', 'null', 'nil', 'none', 'na', 'n/a', '#n/a', '#na', '<na>', '\\n'],
  ...['1.#qnan', '-1.#qnan', '1.#ind', '-1.#ind'],
]);
const infinite = /^([+-]?)(inf|infinity|∞|1\.#inf)$/i;
const withPoint = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const withComma = /^[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?$/i;
/** Digits in groups: "1,234,567", "1.234,5", "1 234", "1'234.5". */
const grouped = /^[+-]?\d{1,3}([.,'’ \u00a0\u202f]\d{3})+([.,]\d*)?$/;
/** A comma that may separate either decimals or thousands: "1,234", but not "0,234". */
const ambiguous = /^[+-]?[1-9]\d{0,2},\d{3}$/;

export const truths: ReadonlyMap<string, number> = new Map([
  ...['true', 'yes', 'right', 'correct', 't', 'y', 'wahr', 'vrai', 'verdadero'].map((word) => [word, 1] as const),
  ...['false', 'no', 'wrong', 'incorrect', 'f', 'n', 'falsch', 'faux', 'falso'].map((word) => [word, 0] as const),
]);

/** Returns NaN for a missing value, and undefined if the text is not a number. */
export function parseNumber(text: string, mark: DecimalMark): number | undefined {
  const plain = normal(text);
  if ((mark === '.' ? withPoint : withComma).test(plain)) return Number(mark === '.' ? plain : plain.replace(',', '.'));
  if (missing.has(plain.toLowerCase())) return Number.NaN;
  const sign = infinite.exec(plain)?.[1];
  if (sign === undefined) return undefined;
  return sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** Why a text is not a number, as the end of an error message. */
export function numberRemedy(text: string): string {
  const plain = normal(text);
  if (grouped.test(plain)) return '. Thousands separators are not read: export the numbers without them';
  if (plain.endsWith('%')) return '. Percentages are not read: write 0.85 for 85 %';
  if (withPoint.test(plain) || withComma.test(plain)) return '. All numbers must have the same decimal mark';
  return '. Leave the cell empty, or write NA, if the value is unknown';
}

/** Finds the decimal mark of a table's number cells; throws if two marks occur or the numbers can be read in two ways. */
export function createMarkFinder(isCommaSeparated: boolean) {
  let point: string | undefined;
  let comma: string | undefined;
  let certain = false;
  return {
    /** `place` names the cell: "line 3". */
    add(text: string, place: () => string): void {
      const plain = normal(text);
      if (plain.includes(',')) {
        if (!withComma.test(plain)) return;
        certain ||= !ambiguous.test(plain);
        comma ??= `${place()} has "${text}"`;
      } else if (plain.includes('.') && withPoint.test(plain)) point ??= `${place()} has "${text}"`;
    },
    mark(): DecimalMark {
      if (comma === undefined) return '.';
      if (point !== undefined)
        throw new Error(
          `its numbers have two decimal marks or thousands separators: ${point}, but ${comma}. Export them with one decimal mark and without thousands separators`,
        );
      if (isCommaSeparated && !certain)
        throw new Error(
          `its numbers can be read in two ways: ${comma}, and a comma may separate decimals or thousands. Export them with decimal points and without thousands separators`,
        );
      return ',';
    },
  };
}

/** Some programs write a true minus sign. */
const normal = (text: string) => text.trim().replace('\u2212', '-');
