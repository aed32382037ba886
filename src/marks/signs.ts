/** A plus in each patch at or above `least`, a minus in each at or below its negative: SVG path data in patches, `least` above 0. */
export function signPathData(
  values: Float32Array,
  grid: { readonly rows: number; readonly cols: number },
  least: number,
): string {
  let path = '';
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Math.abs(value) < least) continue;
    const col = (i % grid.cols) + 0.5;
    const row = Math.floor(i / grid.cols) + 0.5;
    path += `M${col - arm} ${row}h${arm * 2}`;
    if (value > 0) path += `M${col} ${row - arm}v${arm * 2}`;
  }
  return path;
}

/** Of a sign, as a share of a patch. */
const arm = 0.25;
