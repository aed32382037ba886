/**
 * SVG path data, in units of patches: a plus in each patch whose value is at least `threshold`, a minus in each patch
 * whose value is at most `-threshold`. `threshold` must be above 0.
 */
export function signPathData(
  values: Float32Array,
  grid: { readonly rows: number; readonly cols: number },
  threshold: number,
): string {
  let path = '';
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Math.abs(value) < threshold) continue;
    const col = (i % grid.cols) + 0.5;
    const row = Math.floor(i / grid.cols) + 0.5;
    path += `M${col - arm} ${row}h${arm * 2}`;
    if (value > 0) path += `M${col} ${row - arm}v${arm * 2}`;
  }
  return path;
}

/** Half the length of a stroke, as a share of the patch size. */
const arm = 0.25;
