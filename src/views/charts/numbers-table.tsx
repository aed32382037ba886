import type { ChartTable } from '../../state/chart-table';
import './chart.css';

/** A chart's numbers, shown instead of the drawing. */
export function NumbersTable(props: {
  readonly table: ChartTable;
  readonly titleId: string;
  readonly heightPx: number;
}) {
  const { table, titleId, heightPx } = props;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable, so it must be reachable by keyboard
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
            // biome-ignore lint/suspicious/noArrayIndexKey: rows are identified only by position
            <tr key={i}>
              {row.map((cell, j) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: as are cells
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
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return value < 0 ? '-∞' : '∞';
  return Number.isInteger(value) ? value.toLocaleString('en') : String(Number(value.toPrecision(4)));
}
