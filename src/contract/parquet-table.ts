import { categoriesOf, isArrayLike, listsOf, numberOf, type RawTable, textOf } from './raw-table';

/** Reads the columns of the file that are in `knownColumns`. */
export async function readParquetTable(file: ArrayBuffer, knownColumns: ReadonlySet<string>): Promise<RawTable> {
  const { parquetMetadata, parquetRead, parquetSchema } = await import('hyparquet');
  const metadata = parquetMetadata(file);
  const rows = Number(metadata.num_rows);
  const nodes = new Map(parquetSchema(metadata).children.map((node) => [node.element.name, node]));
  const names = [...nodes.keys()].filter((name) => knownColumns.has(name));
  const columns = new Map<string, unknown[]>(names.map((name) => [name, []]));
  if (names.length > 0 && rows > 0)
    await parquetRead({
      file,
      metadata,
      columns: names,
      onChunk({ columnName, columnData, rowStart }) {
        const column = columns.get(columnName);
        for (let i = 0; column !== undefined && i < columnData.length; i++) column[rowStart + i] = columnData[i];
      },
    });
  const ensureColumn = (name: string): unknown[] => {
    const column = columns.get(name);
    if (column === undefined) throw new Error(`it has no column ${name}`);
    return column;
  };
  return {
    format: 'Parquet',
    rows,
    names: [...nodes.keys()],
    metadata: new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value ?? ''])),
    isList: (name) => (nodes.get(name)?.children.length ?? 0) > 0,
    numbers: (name) => Float64Array.from(ensureColumn(name), (cell, row) => numberOf(cell, name, row)),
    texts(name) {
      const column = ensureColumn(name);
      return { at: (row) => textOf(column[row]) };
    },
    categories(name) {
      const column = ensureColumn(name);
      return categoriesOf(rows, (row) => textOf(column[row]), name);
    },
    lists(name) {
      const column = ensureColumn(name);
      return listsOf(rows, (row) => column[row], name);
    },
    textLists(name) {
      const column = ensureColumn(name);
      return (row) => {
        const cells = column[row];
        return isArrayLike(cells) ? Array.from(cells, (cell) => textOf(cell) ?? '') : [];
      };
    },
  };
}
