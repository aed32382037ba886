import { createNoise, fillHalfs, halfToNumber, randomFloats } from './random-weights';

/** The layout of fastrm.bin, as the companion writes it: M16 [d, d] fp16, then fp32 v [d], w [d], scale, s. */
export interface HeadBlob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly M16: Uint16Array;
  readonly v: Float32Array;
  readonly w: Float32Array;
  readonly scale: number;
  readonly s: number;
}

/** Scales M so that logits of normalised states have a standard deviation near 1. */
export function randomHeadBlob(d: number): HeadBlob {
  const bytes = new Uint8Array(2 * d * d + 8 * d + 8);
  const M16 = new Uint16Array(bytes.buffer, 0, d * d);
  const floats = new Float32Array(bytes.buffer, 2 * d * d, 2 * d + 2);
  const noise = createNoise(d);
  fillHalfs(M16, noise);
  floats.set(randomFloats(2 * d, noise, 1 / Math.sqrt(d)));
  floats[2 * d] = 2 / d;
  floats[2 * d + 1] = -1;
  const [v, w] = [floats.subarray(0, d), floats.subarray(d, 2 * d)];
  return { bytes, M16, v, w, scale: floats[2 * d]!, s: floats[2 * d + 1]! };
}

/** plain.bin: W_q and W_k [d, d] fp16, then fp32 b_q and b_k [d]. */
export function randomPlainBlob(d: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * d * d + 8 * d);
  const noise = createNoise(d + 1);
  fillHalfs(new Uint16Array(bytes.buffer, 0, 2 * d * d), noise);
  new Float32Array(bytes.buffer, 4 * d * d, 2 * d).set(randomFloats(2 * d, noise, 0.1));
  return bytes;
}

/** Reference for one token's patch probabilities, in float64: sigmoid(n_q M n_j + v . n_j + w . n_q + s). */
export function referenceMap(blob: HeadBlob, query: Float32Array, patches: Float32Array): Float64Array {
  const d = query.length;
  const q = layerNorm(query);
  const u = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) u[j] = u[j]! + q[i]! * halfToNumber(blob.M16[i * d + j]!);
  }
  let c = blob.s;
  for (let i = 0; i < d; i++) {
    u[i] = u[i]! * blob.scale + blob.v[i]!;
    c += q[i]! * blob.w[i]!;
  }
  return Float64Array.from({ length: patches.length / d }, (_, p) => {
    const n = layerNorm(patches.subarray(p * d, (p + 1) * d));
    const logit = n.reduce((sum, value, i) => sum + value * u[i]!, c);
    return 1 / (1 + Math.exp(-logit));
  });
}

function layerNorm(x: Float32Array): Float64Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return Float64Array.from(x, (value) => (value - mean) / Math.sqrt(variance + 1e-5));
}
