// Reproduces Pillow's antialiased bicubic resize bit for bit, because the model was trained on its output and browsers
// resize differently. As in Pillow's C code, weights are rounded to 22 fractional bits, and the result of each of the
// two passes is rounded to bytes.

/**
 * Weights of output pixels `first .. first + count - 1` along one axis: output i is a weighted sum of `size[i]` inputs,
 * starting at `start[i]`.
 */
export interface AxisWeights {
  readonly count: number;
  readonly taps: number;
  readonly start: Int32Array;
  readonly size: Int32Array;
  /** [count, taps], scaled by 2^22. */
  readonly weight: Int32Array;
}

const fractionBits = 22;
const half = 1 << (fractionBits - 1);

/** Pillow's bicubic kernel, a = -0.5. */
function kernel(x: number): number {
  const a = -0.5;
  const r = Math.abs(x);
  if (r < 1) return ((a + 2) * r - (a + 3)) * r * r + 1;
  if (r < 2) return (((r - 5) * r + 8) * r - 4) * a;
  return 0;
}

/** Returns the weights that resize `inPx` pixels to `outPx`, for `count` outputs starting at `first`. */
export function bicubicWeights(inPx: number, outPx: number, first = 0, count = outPx): AxisWeights {
  const scale = inPx / outPx;
  const spread = Math.max(scale, 1);
  const support = 2 * spread;
  const taps = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(count);
  const size = new Int32Array(count);
  const weight = new Int32Array(count * taps);
  const raw = new Float64Array(taps);
  for (let i = 0; i < count; i++) {
    const center = (first + i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const n = Math.min(inPx, Math.trunc(center + support + 0.5)) - from;
    let sum = 0;
    for (let j = 0; j < n; j++) {
      raw[j] = kernel((j + from - center + 0.5) * (1 / spread));
      sum += raw[j]!;
    }
    start[i] = from;
    size[i] = n;
    for (let j = 0; j < n; j++) {
      const share = sum === 0 ? raw[j]! : raw[j]! / sum;
      weight[i * taps + j] = Math.trunc(share * 2 ** fractionBits + (share < 0 ? -0.5 : 0.5));
    }
  }
  return { count, taps, start, size, weight };
}

const toByte = (sum: number) => Math.min(255, Math.max(0, sum >> fractionBits));

/** Resizes RGBA rows of width `widthPx` to RGB rows of width `x.count`, and writes them to `out` from row `outRow`. */
export function resizeRows(rgba: Uint8ClampedArray, widthPx: number, x: AxisWeights, out: Uint8Array, outRow: number) {
  const rows = rgba.length / (4 * widthPx);
  for (let row = 0; row < rows; row++) {
    let to = (outRow + row) * x.count * 3;
    for (let i = 0; i < x.count; i++) {
      let [r, g, b] = [half, half, half];
      let from = (row * widthPx + x.start[i]!) * 4;
      const end = i * x.taps + x.size[i]!;
      for (let k = i * x.taps; k < end; k++, from += 4) {
        const w = x.weight[k]!;
        r += rgba[from]! * w;
        g += rgba[from + 1]! * w;
        b += rgba[from + 2]! * w;
      }
      out[to++] = toByte(r);
      out[to++] = toByte(g);
      out[to++] = toByte(b);
    }
  }
}

/** Resizes RGB rows to `y.count` rows. The first input row is row `firstRow` of the image. */
export function resizeColumns(rgb: Uint8Array, firstRow: number, widthPx: number, y: AxisWeights): Uint8Array {
  const rowBytes = widthPx * 3;
  const out = new Uint8Array(y.count * rowBytes);
  for (let i = 0; i < y.count; i++) {
    for (let c = 0; c < rowBytes; c++) {
      let sum = half;
      let from = (y.start[i]! - firstRow) * rowBytes + c;
      const end = i * y.taps + y.size[i]!;
      for (let k = i * y.taps; k < end; k++, from += rowBytes) sum += rgb[from]! * y.weight[k]!;
      out[i * rowBytes + c] = toByte(sum);
    }
  }
  return out;
}
