// TAM, token activation map (Li et al., ICCV 2025): how strongly each patch's last hidden state predicts an answer token,
// minus what the preceding text explains. docs/methods.md lists the choices that the paper leaves open.

export interface TokenActivationInput {
  /** [P, d], frames in order, each row-major. */
  readonly patchStates: Float32Array;
  /** [m, d] */
  readonly promptStates: Float32Array;
  readonly promptIds: readonly number[];
  readonly hiddenSize: number;
  /** The `lm_head` row [d] of every token id in the prompt. */
  readonly unembedding: ReadonlyMap<number, Float32Array>;
  /** The patch grids of the frames. */
  readonly grids: readonly { readonly rows: number; readonly cols: number }[];
}

export interface ActivationToken {
  readonly id: number;
  /** [d]: predicted the token. The first token's is the prompt's last state, which `promptStates` also includes. */
  readonly queryState: Float32Array;
  /** [d]: the `lm_head` row of `id`. */
  readonly row: Float32Array;
}

/** Patch and text values share one scale, from 0 (their minimum) to 1 (their maximum), before `values` are smoothed. */
export interface TokenActivationMap {
  /** [P] */
  readonly values: Float32Array;
  /** [m]; the last one is 0, because its position predicts the first answer token. */
  readonly prompt: Float32Array;
  /** [t], for the tokens before this one. */
  readonly answer: Float32Array;
}

/** The maps of one answer's tokens. The activations of a token id are computed once, on first use. */
export interface TokenActivations {
  /** Appends the answer's next token. Throws if a shape does not match. */
  append(token: ActivationToken): void;
  mapOf(tokenIndex: number): TokenActivationMap;
}

/** Throws if the shapes do not match; `mapOf` throws if an `lm_head` row of the prompt is missing. */
export function createTokenActivations(input: TokenActivationInput): TokenActivations {
  ensureShapes(input);
  const { patchStates, promptStates, promptIds, hiddenSize, grids } = input;
  const m = promptIds.length;
  const answerIds: number[] = [];
  const queryStates: Float32Array[] = [];
  const rows = new Map(input.unembedding);
  const patchActivations = new Map<number, Float64Array>();

  function patchActivationsOf(id: number): Float64Array {
    const cached = patchActivations.get(id);
    if (cached !== undefined) return cached;
    const computed = activations(patchStates, rowOf(id), patchStates.length / hiddenSize);
    patchActivations.set(id, computed);
    return computed;
  }

  function rowOf(id: number): Float32Array {
    const row = rows.get(id);
    if (row === undefined) throw new Error(`the lm_head row of token id ${id} is missing`);
    if (row.length !== hiddenSize)
      throw new Error(`the lm_head row of token id ${id}: expected ${hiddenSize} values, got ${row.length}`);
    return row;
  }

  return {
    append({ id, queryState, row }) {
      if (queryState.length !== hiddenSize)
        throw new Error(`query state: expected ${hiddenSize} values, got ${queryState.length}`);
      answerIds.push(id);
      queryStates.push(queryState);
      rows.set(id, row);
    },
    mapOf(tokenIndex) {
      const id = answerIds[tokenIndex];
      if (id === undefined)
        throw new Error(`token ${tokenIndex} is out of range: the answer has ${answerIds.length} tokens`);
      const row = rowOf(id);
      // The text positions before p_t, each once. A prompt position represents its own token; an answer token is
      // represented by the position that predicted it. So the prompt's last position represents the first answer token,
      // or is p_t itself if the map is for that token.
      const textIds = [...promptIds.slice(0, m - 1), ...answerIds.slice(0, tokenIndex)];
      const promptScores = activations(promptStates, row, m - 1);
      const answerScores = Float64Array.from(queryStates.slice(0, tokenIndex), (state) => activation(state, 0, row));
      const textScores = Float64Array.of(...promptScores, ...answerScores);

      const map = withoutInterference(
        patchActivationsOf(id),
        textScores.map((score, i) => (textIds[i] === id ? 0 : score)),
        (i) => patchActivationsOf(textIds[i]!),
      );
      const toShare = sharedScale([map, textScores]);
      const prompt = new Float32Array(m);
      prompt.set(promptScores.map(toShare));
      return { values: smoothed(map.map(toShare), grids), prompt, answer: Float32Array.from(answerScores, toShare) };
    },
  };
}

/** a_j for the first `count` states. */
function activations(states: Float32Array, row: Float32Array, count: number): Float64Array {
  const scores = new Float64Array(count);
  for (let j = 0; j < count; j++) scores[j] = activation(states, j * row.length, row);
  return scores;
}

/** a = max(0, lm_head(h)[id]) of the state h at `from`. */
function activation(states: Float32Array, from: number, row: Float32Array): number {
  return Math.max(0, dot(states, from, row));
}

/** Uses four independent sums, because with a single sum each addition would wait for the previous one. */
function dot(states: Float32Array, from: number, row: Float32Array): number {
  const d = row.length;
  const whole = d - (d % 4);
  let [a, b, c, e] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    a += states[from + i]! * row[i]!;
    b += states[from + i + 1]! * row[i + 1]!;
    c += states[from + i + 2]! * row[i + 2]!;
    e += states[from + i + 3]! * row[i + 3]!;
  }
  for (let i = whole; i < d; i++) a += states[from + i]! * row[i]!;
  return a + b + (c + e);
}

/**
 * max(0, M - alpha I): I is the mean of the text tokens' maps, weighted by their scores; alpha is the least-squares
 * coefficient of I in M.
 */
function withoutInterference(
  map: Float64Array,
  scores: Float64Array,
  mapOf: (text: number) => Float64Array,
): Float64Array {
  const sum = scores.reduce((a, b) => a + b, 0);
  if (sum === 0) return map;
  const interference = new Float64Array(map.length);
  for (const [i, score] of scores.entries()) {
    if (score === 0) continue;
    const other = mapOf(i);
    for (let j = 0; j < map.length; j++) interference[j] = interference[j]! + (score / sum) * other[j]!;
  }
  const square = interference.reduce((total, value) => total + value * value, 0);
  if (square === 0) return map;
  const alpha = map.reduce((total, value, j) => total + value * interference[j]!, 0) / square;
  return map.map((value, j) => Math.max(0, value - alpha * interference[j]!));
}

/** Returns a function that scales all parts to a common range of 0..1, or to 0 if all values are equal. */
function sharedScale(parts: readonly Float64Array[]): (value: number) => number {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const part of parts) {
    for (const value of part) {
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  return max > min ? (value) => (value - min) / (max - min) : () => 0;
}

/** Applies the rank-Gaussian filter to each frame's grid. */
function smoothed(map: Float64Array, grids: TokenActivationInput['grids']): Float32Array {
  const result = new Float32Array(map.length);
  const window = new Float64Array(9);
  let frame = 0;
  for (const { rows, cols } of grids) {
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        for (let k = 0; k < 9; k++) {
          const r = reflected(row + Math.floor(k / 3) - 1, rows);
          const c = reflected(col + (k % 3) - 1, cols);
          window[k] = map[frame + r * cols + c]!;
        }
        result[frame + row * cols + col] = rankGaussian(window.sort());
      }
    }
    frame += rows * cols;
  }
  return result;
}

/** Reflects an index beyond the edge at the outermost row or column, which is not repeated. */
function reflected(at: number, length: number): number {
  if (length === 1) return 0;
  if (at < 0) return -at;
  return at < length ? at : 2 * (length - 1) - at;
}

/**
 * The mean of nine ascending values, weighted by distance from the median: the less the values vary, the more the
 * median counts.
 */
function rankGaussian(sorted: Float64Array): number {
  const mean = sorted.reduce((a, b) => a + b, 0) / 9;
  if (mean <= 0) return 0;
  const variance = sorted.reduce((total, value) => total + (value - mean) ** 2, 0) / 9;
  const spread = variance / mean ** 2; // sigma squared
  let [sum, weights] = [0, 0];
  for (let k = -4; k <= 4; k++) {
    const weight = k === 0 ? 1 : Math.exp(-(k * k) / (2 * spread));
    sum += weight * sorted[k + 4]!;
    weights += weight;
  }
  return sum / weights;
}

function ensureShapes({ patchStates, promptStates, promptIds, hiddenSize, grids }: TokenActivationInput): void {
  const patches = grids.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  const expected = [
    ['patch', patchStates, patches],
    ['prompt', promptStates, promptIds.length],
  ] as const;
  for (const [name, states, rows] of expected) {
    if (states.length === rows * hiddenSize) continue;
    throw new Error(`${name} states: expected ${rows} x ${hiddenSize} values, got ${states.length}`);
  }
  if (promptIds.length === 0) throw new Error('the prompt has no text token');
}
