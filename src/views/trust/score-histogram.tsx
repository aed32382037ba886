import { scaleLinear, scaleSymlog } from 'd3-scale';
import { useMemo } from 'react';
import { formatShortCount } from '../../marks/axis';
import { barsPathData, binAt } from '../../marks/histogram';
import { countBins } from '../../math/maps/map-values';
import { formatPercent, formatValue, formatWhole } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, LeftAxis, UprightMark } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';

const margins: Margins = { top: 26, right: 12, bottom: 38, left: 42 };
const heightPx = 260;
const bins = 50;
const edges = Array.from({ length: bins + 1 }, (_, i) => i / bins);

/** How relevant patches are, over all maps of this visit: the paper's picture of few that matter among many that do not. */
export function ScoreHistogram({
  maps,
  threshold,
}: {
  readonly maps: readonly Float32Array[];
  readonly threshold: number | undefined;
}) {
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const { counts, patches, above } = useMemo(() => {
    const counts = new Float64Array(bins);
    let patches = 0;
    let above = 0;
    for (const map of maps) {
      for (const [bin, count] of countBins(map, bins).entries()) counts[bin] = counts[bin]! + count;
      for (const value of map) if (threshold !== undefined && value >= threshold) above++;
      patches += map.length;
    }
    return { counts, patches, above };
  }, [maps, threshold]);
  const most = Math.max(1, ...counts);
  const x = scaleLinear([0, 1], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
  // Log-like: nearly all patches lie in the first bins.
  const y = scaleSymlog([0, most], [heightPx - margins.bottom, margins.top]);
  const powers = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => 10 ** i);
  return (
    <ChartFrame
      title="Scores of the maps"
      note={`${formatWhole(patches)} patches of ${formatWhole(maps.length)} FastRM maps in this tab, log scale.${threshold === undefined || patches === 0 ? '' : ` ${formatPercent(above / patches)} reach ${formatValue(threshold)}.`}`}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description="A histogram of patches by relevancy, on a logarithmic scale."
      reading={{
        axis: 'relevancy',
        domain: [0, 1],
        step: 1 / bins,
        textAt: (at) => {
          const bin = binAt(edges, at) ?? 0;
          return `${formatValue(edges[bin]!)} to ${formatValue(edges[bin + 1]!)} · ${formatWhole(counts[bin]!)} patches`;
        },
        format: formatValue,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      table={() => ({
        columns: ['from', 'to', 'patches'],
        rows: Array.from(counts, (count, bin) => [edges[bin]!, edges[bin + 1]!, count]),
      })}
      provenance={[`${maps.length} FastRM maps of the answers in this tab`, 'Patchlight']}
      fileName="scores"
    >
      <LeftAxis
        ticks={powers.map((value) => ({ value, atPx: y(value), label: formatShortCount(value) }))}
        margins={margins}
        widthPx={widthPx}
      />
      <path className="bars" data-class="neutral" d={barsPathData(edges, counts, x, y)} />
      {threshold !== undefined && (
        <UprightMark
          kind="threshold"
          atPx={x(threshold)}
          label={`read at ${formatValue(threshold)}`}
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={14}
        />
      )}
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label="relevancy of a patch" />
    </ChartFrame>
  );
}
