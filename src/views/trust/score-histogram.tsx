import { scaleLinear, scaleSymlog } from 'd3-scale';
import { useMemo } from 'react';
import { formatShortCount } from '../../marks/axis';
import { barsPathData, binAt } from '../../marks/histogram';
import { countValues, evenEdges } from '../../math/statistics/histogram';
import { formatCount, formatPercent, formatValue } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, LeftAxis, UprightMark } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';

const margins: Margins = { top: 26, right: 12, bottom: 38, left: 42 };
const heightPx = 260;
const bins = 50;
const edges = evenEdges(0, 1, bins);

/** Histogram of patch relevancy over all maps from this visit. As in the paper, only a few patches matter. */
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
      for (const [bin, count] of countValues(map, edges).counts.entries()) counts[bin] = counts[bin]! + count;
      for (const value of map) if (threshold !== undefined && value >= threshold) above++;
      patches += map.length;
    }
    return { counts, patches, above };
  }, [maps, threshold]);
  const outside = patches - counts.reduce((sum, count) => sum + count, 0);
  const most = Math.max(1, ...counts);
  const x = scaleLinear([0, 1], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
  // A log-like scale, because nearly all patches are in the first bins.
  const y = scaleSymlog([0, most], [heightPx - margins.bottom, margins.top]);
  const powers = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => 10 ** i);
  return (
    <ChartFrame
      title="Map values"
      note={`${formatCount(patches, 'patch', 'patches')} in ${formatCount(maps.length, 'FastRM map', 'FastRM maps')} from this tab, log scale.${outside > 0 ? ` Not shown: ${formatCount(outside, 'patch', 'patches')} outside 0 to 1.` : ''}${threshold === undefined || patches === 0 ? '' : ` ${formatPercent(above / patches)} reach ${formatValue(threshold)}.`}`}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description="Histogram of patch relevancy on a logarithmic scale."
      readout={{
        axis: 'relevancy',
        domain: [0, 1],
        step: 1 / bins,
        textAt: (at) => {
          const bin = binAt(edges, at) ?? 0;
          return `${formatValue(edges[bin]!)} to ${formatValue(edges[bin + 1]!)} · ${formatCount(counts[bin]!, 'patch', 'patches')}`;
        },
        format: formatValue,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      table={() => ({
        columns: ['from', 'to', 'patches'],
        rows: Array.from(counts, (count, bin) => [edges[bin]!, edges[bin + 1]!, count]),
      })}
      provenance={[`${formatCount(maps.length, 'FastRM map', 'FastRM maps')} of the answers in this tab`, 'Patchlight']}
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
          label={`threshold ${formatValue(threshold)}`}
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={14}
        />
      )}
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label="patch relevancy" />
    </ChartFrame>
  );
}
