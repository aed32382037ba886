// @ts-check
// Times of one head as figures: beside the paper's form as ratios, and beside the floor as distances.

/** @typedef {import('../scripts/figures.mjs').Figure} Figure */
/** @typedef {{ hiddenSize: number, patches: number, textTokens: number, answerTokens: number }} Sizes */

/** What the folded form must reach; set for LLaVA-1.5's widths, of which 4096 is the least. */
const goals = { leastWidth: 4096, batch: '750 at least', single: '180 at least', overFloor: '1.25 at most' };

/**
 * @param {import('./page/head-times').HeadTimes} times
 * @param {Sizes} sizes
 * @returns {Figure[]}
 */
export function headFigures(times, { hiddenSize: d, patches: P, textTokens, answerTokens: T }) {
  const named = (/** @type {string} */ text) => `d = ${d}: ${text}`;
  const goal = (/** @type {'batch' | 'single' | 'overFloor'} */ name) =>
    d >= goals.leastWidth ? { goal: goals[name] } : {};
  const answerPlainMs = T * times.plainTokenMs;
  /** The matrix, read once in float32: what bounds one row times a matrix. */
  const tokenGBps = (4 * d * d) / times.tokenMs / 1e6;
  const batchGflops = (2 * T * (d * d + P * d)) / times.batchMs / 1e6;
  /** Every query and every key of prompt and image. */
  const plainGflops = (4 * (P + textTokens) * d * d) / times.plainTokenMs / 1e6;
  const atBatchRate = times.plainTokenMs * (plainGflops / batchGflops);
  return [
    { label: named('session, weights in memory'), value: times.sessionMs, unit: 'ms' },
    { label: named('an image'), value: times.imageMs, unit: 'ms' },
    { label: named('one token'), value: times.tokenMs, unit: 'ms' },
    { label: named(`${T} tokens at once, image included`), value: times.batchWithImageMs, unit: 'ms' },
    { label: named('one token, the paper’s form'), value: times.plainTokenMs, unit: 'ms' },
    {
      label: named('one token: faster than the paper’s form by'),
      value: times.plainTokenMs / times.tokenMs,
      unit: '×',
      ...goal('single'),
    },
    {
      label: named(`${T} tokens at once, image included: faster by`),
      value: answerPlainMs / times.batchWithImageMs,
      unit: '×',
      ...goal('batch'),
    },
    { label: named('one token, the paper’s form, computes at'), value: plainGflops, unit: 'GFLOP/s' },
    {
      label: named(`one token: faster by, were the paper’s form as quick an operation as ${T} tokens at once`),
      value: atBatchRate / times.tokenMs,
      unit: '×',
    },
    {
      label: named(`${T} tokens: faster by, were the paper’s form as quick an operation`),
      value: (T * atBatchRate) / times.batchWithImageMs,
      unit: '×',
    },
    {
      label: named('one token over its bare matrix products'),
      value: times.tokenMs / times.productsTokenMs,
      unit: '×',
    },
    { label: named('one token reads its matrix at'), value: tokenGBps, unit: 'GB/s' },
    {
      label: named(`${T} tokens over their bare matrix products`),
      value: times.batchMs / times.productsBatchMs,
      unit: '×',
      ...goal('overFloor'),
    },
    { label: named(`${T} tokens at once compute at`), value: batchGflops, unit: 'GFLOP/s' },
    {
      label: named('largest difference from float64'),
      value: Number(times.error.toExponential(1)),
      goal: '0.001 at most',
    },
    { label: named('threads'), value: times.threads },
  ];
}
