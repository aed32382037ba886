import type { CalibrationTable, CategoryColumn } from '../contract/calibration-table';

/** The kind of question that each answer belongs to. */
export interface QuestionKinds {
  /** What tells the kinds apart: the columns `kind` and `variety`, or the dataset if the table has no kinds. */
  readonly by: 'kind' | 'set';
  readonly names: readonly string[];
  /** [rows], an index into `names`; -1 if the row has no kind. */
  readonly codes: Int32Array;
}

/**
 * A kind is a combination of `kind`, `variety` and `set`, because a table may use one name for different questions in
 * different datasets. Undefined if the table has a single kind and a single dataset.
 */
export function questionKindsOf({ rows, set, kind, variety }: CalibrationTable): QuestionKinds | undefined {
  const textOf = (column: CategoryColumn, row: number) => column.names[column.codes[row]!] ?? '';
  const columns = [
    { by: 'kind', parts: [kind, variety] },
    { by: 'set', parts: [set] },
  ] as const;
  for (const { by, parts } of columns) {
    const names: string[] = [];
    const byKey = new Map<string, number>();
    const codes = Int32Array.from({ length: rows }, (_, row) => {
      const texts = parts.map((column) => textOf(column, row));
      if (texts.every((text) => text === '')) return -1;
      const key = JSON.stringify(by === 'kind' ? [textOf(set, row), ...texts] : texts);
      const known = byKey.get(key);
      if (known !== undefined) return known;
      byKey.set(key, names.length);
      names.push(texts.filter((text) => text !== '').join(', '));
      return names.length - 1;
    });
    if (names.length > 1) return { by, names: withSets(names, [...byKey.keys()]), codes };
  }
  return undefined;
}

/** Adds the dataset to names that occur in several. */
function withSets(names: readonly string[], keys: readonly string[]): string[] {
  const occurrences = new Map<string, number>();
  for (const name of names) occurrences.set(name, (occurrences.get(name) ?? 0) + 1);
  return names.map((name, i) => {
    const [set] = JSON.parse(keys[i]!) as string[];
    return occurrences.get(name)! > 1 && set ? `${name} (${set})` : name;
  });
}
