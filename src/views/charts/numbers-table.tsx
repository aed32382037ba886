import type { ChartTable } from '../../state/chart-table';
import './chart.css';

/** A chart's numbers in its place. */
export function NumbersTable(props: {
  readonly table: ChartTable;
  readonly titleId: string;
  readonly heightPx: number;
}) {
  const { table, titleId, heightPx } = props;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and keys must reach it
    <section className="numbers" style={{ height: heightPx }} tabIndex={0} aria-labelledby={titleId}>
      <table>
        <thead>
          <tr>
            {table.columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no name but their place
            <tr key={i}>
              {row.map((cell, j) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: nor have cells
                <td key={j} data-number={typeof cell === 'number' || undefined}>
                  {typeof cell === 'number' ? formatCell(cell) : cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function formatCell(value: number): string {
  if (!Number.isFinite(value)) return '';
  return Number.isInteger(value) ? value.toLocaleString('en') : String(Number(value.toPrecision(4)));
}
