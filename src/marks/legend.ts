import { scaleSymlog } from 'd3-scale';
import { area, curveStepAfter } from 'd3-shape';
import { type ColourTable, colourOffset } from './colour-table';

/** Draws a colour bar over the axis 0..1. Outside `domain`, the bar keeps the colour of the nearer end. */
export function drawColourBar(canvas: HTMLCanvasElement, domain: readonly [number, number], table: ColourTable): void {
  const widthPx = 512;
  if (canvas.width !== widthPx) canvas.width = widthPx;
  if (canvas.height !== 1) canvas.height = 1;
  const context = canvas.getContext('2d');
  if (context === null) return;
  const image = context.createImageData(widthPx, 1);
  for (let x = 0; x < widthPx; x++) {
    const from = colourOffset((x + 0.5) / widthPx, domain);
    image.data.set(table.subarray(from, from + 4), x * 4);
  }
  context.putImageData(image, 0, 0);
}

/**
 * Bin counts as SVG path data in a box of `widthPx` x `heightPx`. Heights are on a log-like scale: nearly all patches
 * of a good map are in the first bin, so the few that matter would be invisible on a linear scale.
 */
export function histogramPathData(counts: ArrayLike<number>, size: { widthPx: number; heightPx: number }): string {
  const bins = Array.from(counts);
  const total = bins.reduce((sum, count) => sum + count, 0);
  const y = scaleSymlog()
    .domain([0, Math.max(1, total)])
    .range([size.heightPx, 0]);
  const step = size.widthPx / bins.length;
  const outline = area<number>()
    .x((_, i) => i * step)
    .y0(size.heightPx)
    .y1((count) => y(count))
    .curve(curveStepAfter);
  // Repeat the last count to draw the right edge of the last bin.
  return outline([...bins, bins.at(-1) ?? 0]) ?? '';
}
