import { useId } from 'react';
import { shareOf } from '../../math/statistics/share';
import type { ChartCounts } from '../../statistics/api';
import { formatPercent, formatWhole } from '../../text/number-format';
import { shortened } from '../../text/visible-text';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { ClassPattern, patternFill } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';

interface CategoryBarsProps {
  readonly title: string;
  readonly names: readonly string[];
  readonly counts: ChartCounts;
  readonly whole: ChartCounts;
  /** Selected categories; an empty list means no filter. */
  readonly chosen: readonly string[];
  onToggle(name: string): void;
  onClear(): void;
  /** Whether to show the share of right answers next to each bar. */
  readonly hasShares?: boolean;
  readonly rowPx?: number;
  readonly minHeightPx?: number;
  readonly provenance: readonly string[];
  readonly fileName: string;
}

/** Longer names are cut; the bar's title has the complete name. */
const maxNameChars = 16;

const noMargins: Margins = { top: 0, right: 0, bottom: 0, left: 0 };

/** One bar per category, right answers before wrong ones. Selecting bars filters the other charts and the table. */
export function CategoryBars(props: CategoryBarsProps) {
  const { title, counts, whole, chosen, onToggle, onClear, provenance, fileName } = props;
  const { hasShares = true, rowPx = 26, minHeightPx = 0 } = props;
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const rows = props.names
    .map((name, i) => ({ name, ...rowOf(counts, i), all: totalOf(rowOf(whole, i)) }))
    .filter(({ all }) => all > 0);
  const names = rows.map(({ name }) => name);
  const patternId = useId().replaceAll(':', '');
  const heightPx = Math.max(minHeightPx, names.length * rowPx);
  const labelPx = Math.min(110, 12 + 6.6 * Math.max(0, ...names.map((name) => nameOf(name).length)));
  const numberPx = hasShares ? 152 : 92;
  const room = Math.max(0, widthPx - labelPx - numberPx);
  const max = Math.max(1, ...rows.map(({ all }) => all));
  const px = (count: number) => (count / max) * room;
  return (
    <ChartFrame
      title={title}
      note={
        chosen.length > 0 ? (
          <>
            {chosen.map((name) => shortened(nameOf(name))).join(', ')}.{' '}
            <button type="button" className="link-button" onClick={onClear}>
              Clear
            </button>
          </>
        ) : (
          `Select one or more to filter.${hasShares ? ' Next to each bar: the number of answers and the share that is right, with its 95 % interval.' : ''}`
        )
      }
      heightPx={heightPx}
      widthPx={widthPx}
      margins={noMargins}
      plot={plot}
      isInteractive
      description={`${title}: one bar per category, right and wrong answers.`}
      table={() => ({
        columns: [title, 'right', 'wrong', 'not scored', 'all, unfiltered', 'share right', 'low', 'high'],
        rows: rows.map(({ name, right, wrong, unscored, all }) => {
          const { value, low, high } = shareOf(right, right + wrong);
          return [nameOf(name), right, wrong, unscored, all, value, low, high];
        }),
      })}
      provenance={provenance}
      fileName={fileName}
    >
      <ClassPattern id={patternId} />
      {rows.map(({ name, right, wrong, unscored, all }, i) => {
        const isChosen = chosen.includes(name);
        const text = `${nameOf(name)}: ${formatWhole(right)} right, ${formatWhole(wrong)} wrong${unscored > 0 ? `, ${formatWhole(unscored)} not scored` : ''}`;
        return (
          // biome-ignore lint/a11y/useSemanticElements: an SVG cannot contain an input
          <g
            key={name}
            className="category"
            role="checkbox"
            tabIndex={0}
            aria-checked={isChosen}
            aria-label={text}
            data-faded={(chosen.length > 0 && !isChosen) || undefined}
            transform={`translate(0 ${i * rowPx})`}
            onClick={() => onToggle(name)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' && event.key !== ' ') return;
              event.preventDefault();
              onToggle(name);
            }}
          >
            <title>{text}</title>
            <rect className="category-ground" data-screen-only="" width={widthPx} height={rowPx - 2} />
            <text
              className="category-name"
              data-chosen={isChosen || undefined}
              x={labelPx - 8}
              y={rowPx / 2 - 1}
              dy="0.32em"
              textAnchor="end"
            >
              {isChosen ? '✓ ' : ''}
              {shortened(nameOf(name), maxNameChars)}
            </text>
            <rect className="bars-before" x={labelPx + 0.5} y={4.5} width={px(all)} height={rowPx - 11} />
            <rect className="bars" data-class="right" x={labelPx} y={4} width={px(right)} height={rowPx - 10} />
            <rect
              className="bars"
              data-class="wrong"
              x={labelPx + px(right)}
              y={4}
              width={px(wrong)}
              height={rowPx - 10}
              fill={patternFill(patternId)}
            />
            <text className="axis-number" x={labelPx + px(all) + 8} y={rowPx / 2 - 1} dy="0.32em">
              {formatWhole(right + wrong + unscored)}
              {hasShares && right + wrong > 0 && ` · ${shareText(right, right + wrong)}`}
            </text>
          </g>
        );
      })}
    </ChartFrame>
  );
}

function shareText(right: number, scored: number): string {
  const { value, low, high } = shareOf(right, scored);
  return `${formatPercent(value)} (${(low * 100).toFixed(0)}–${(high * 100).toFixed(0)})`;
}

const rowOf = ({ right, wrong, unscored }: ChartCounts, i: number) => ({
  right: right[i]!,
  wrong: wrong[i]!,
  unscored: unscored[i]!,
});

const totalOf = ({ right, wrong, unscored }: ReturnType<typeof rowOf>) => right + wrong + unscored;

const nameOf = (name: string) => (name === '' ? 'not given' : name);
