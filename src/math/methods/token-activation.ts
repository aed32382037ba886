// TAM, token activation map (Li et al., ICCV 2025): what each patch's own last hidden state would say of an answer
// token, less what the text before it accounts for. docs/methods.md says where the paper leaves a choice open.

export interface TokenActivationInput {
  /** [P, d], frames in order, each row-major. */
  readonly patchStates: Float32Array;
  /** [m, d]. */
  readonly promptStates: Float32Array;
  /** [T, d]: row t predicted token t; row 0 is the prompt's last position, which `promptStates` holds too. */
  readonly queryStates: Float32Array;
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  readonly hiddenSize: number;
  /** The `lm_head` row [d] of each id of prompt and answer. */
  readonly unembedding: ReadonlyMap<number, Float32Array>;
  /** Of the frames. */
  readonly grids: readonly { readonly rows: number; readonly cols: number }[];
}

/** values [P] and the text's scores are on one scale, 0 the least and 1 the greatest of them before values are smoothed. */
export interface TokenActivationMap {
  readonly values: Float32Array;
  /** [m]; the last one is 0, for its position is the first answer token's. */
  readonly prompt: Float32Array;
  /** [t], of the tokens before this one. */
  readonly answer: Float32Array;
}

/** Every token's map of one answer: an id's activations are computed once, when a token first wants them. */
export interface TokenActivations {
  mapOf(tokenIndex: number): TokenActivationMap;
}

/** Throws where the shapes contradict each other; `mapOf` throws where an `lm_head` row is missing. */
export function createTokenActivations(input: TokenActivationInput): TokenActivations {
  ensureShapes(input);
  const { patchStates, promptStates, queryStates, promptIds, answerIds, hiddenSize, grids } = input;
  const m = promptIds.length;
  const patchActivations = new Map<number, Float64Array>();

  function patchActivationsOf(id: number): Float64Array {
    const known = patchActivations.get(id);
    if (known !== undefined) return known;
    const found = activations(patchStates, unembeddingOf(input, id), patchStates.length / hiddenSize);
    patchActivations.set(id, found);
    return found;
  }

  return {
    mapOf(tokenIndex) {
      const id = answerIds[tokenIndex];
      if (id === undefined) throw new Error(`the answer has ${answerIds.length} tokens, none at ${tokenIndex}`);
      const row = unembeddingOf(input, id);
      // Columns before p_t, each once and with the token that it stands for: a prompt token's own, an answer token's the
      // one that predicted it. So the prompt's last column is the first answer token's, or p_t itself for that one.
      const textIds = [...promptIds.slice(0, m - 1), ...answerIds.slice(0, tokenIndex)];
      const promptScores = activations(promptStates, row, m - 1);
      const answerScores = activations(queryStates, row, tokenIndex);
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

/** a_j = max(0, lm_head(h_j)[id]) of the first `count` states. */
function activations(states: Float32Array, row: Float32Array, count: number): Float64Array {
  const d = row.length;
  const found = new Float64Array(count);
  for (let j = 0; j < count; j++) found[j] = Math.max(0, dot(states, j * d, row));
  return found;
}

/** Four sums at once: one alone waits for each addition. */
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

/** M - alpha I, none below 0: I is the text's maps weighted by its scores, alpha the least-squares share of it in M. */
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

/** The way to 0..1 for all of them together; all equal, they are 0. */
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

/** The rank-Gaussian filter over each frame's grid. */
function smoothed(map: Float64Array, grids: TokenActivationInput['grids']): Float32Array {
  const found = new Float32Array(map.length);
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
        found[frame + row * cols + col] = rankGaussian(window.sort());
      }
    }
    frame += rows * cols;
  }
  return found;
}

/** Past an edge the grid is mirrored at its outermost line, which is not doubled. */
function reflected(at: number, length: number): number {
  if (length === 1) return 0;
  if (at < 0) return -at;
  return at < length ? at : 2 * (length - 1) - at;
}

/** Nine values, ascending, weighted by their distance from the middle rank: the more alike they are, the more the median counts. */
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

function unembeddingOf({ unembedding, hiddenSize }: TokenActivationInput, id: number): Float32Array {
  const row = unembedding.get(id);
  if (row === undefined) throw new Error(`the lm_head row of token id ${id} is missing`);
  if (row.length !== hiddenSize) throw new Error(`lm_head row of ${row.length}, hidden size ${hiddenSize}`);
  return row;
}

function ensureShapes({
  patchStates,
  promptStates,
  queryStates,
  promptIds,
  answerIds,
  hiddenSize,
  grids,
}: TokenActivationInput): void {
  const patches = grids.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  const wanted = [
    ['patch', patchStates, patches],
    ['prompt', promptStates, promptIds.length],
    ['query', queryStates, answerIds.length],
  ] as const;
  for (const [what, states, rows] of wanted) {
    if (states.length === rows * hiddenSize) continue;
    throw new Error(`${what} states of ${states.length} values, want ${rows} x ${hiddenSize}`);
  }
  if (promptIds.length === 0) throw new Error('the prompt has no text token');
}
