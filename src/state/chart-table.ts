/** The numbers behind a chart, for the table view and the CSV export. */
export interface ChartTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** Notes come first, one per line, each starting with `#`. NaN is an empty cell; infinite values are `inf` and `-inf`. */
export function tableAsCsv({ columns, rows }: ChartTable, notes: readonly string[]): string {
  const lines = [
    ...notes.map((note) => `# ${note.replaceAll('\n', ' ')}`),
    ...[columns, ...rows].map((row) => row.map(cellOf).join(',')),
  ];
  return `${lines.join('\n')}\n`;
}

function cellOf(value: string | number): string {
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return '';
    return Number.isFinite(value) ? String(value) : value < 0 ? '-inf' : 'inf';
  }
  return /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
