// @ts-check
// Converts the timings of one head to figures: absolute, relative to the paper's formulation, and relative to the
// matrix products alone, which are a lower bound.

/** @typedef {import('../scripts/figures.mjs').Figure} Figure */
/** @typedef {{ hiddenSize: number, patches: number, textTokens: number, answerTokens: number }} Sizes */

/** Goals for the folded head at LLaVA-1.5's widths (4096 and above). */
const goals = { minWidth: 4096, batch: '>= 750', single: '>= 180', overProducts: '<= 1.25' };

/**
 * @param {import('./page/head-times').HeadTimes} times
 * @param {Sizes} sizes
 * @returns {Figure[]}
 */
export function headFigures(times, { hiddenSize: d, patches: P, textTokens, answerTokens: T }) {
  const named = (/** @type {string} */ text) => `d = ${d}: ${text}`;
  const goal = (/** @type {'batch' | 'single' | 'overProducts'} */ name) =>
    d >= goals.minWidth ? { goal: goals[name] } : {};
  const answerPlainMs = T * times.plainTokenMs;
  /** A vector-matrix product is limited by memory bandwidth; it reads the float32 matrix once. */
  const tokenGBps = (4 * d * d) / times.tokenMs / 1e6;
  const batchGflops = (2 * T * (d * d + P * d)) / times.batchMs / 1e6;
  /** Counts the query and key projections of every text token and patch. */
  const plainGflops = (4 * (P + textTokens) * d * d) / times.plainTokenMs / 1e6;
  const atBatchRate = times.plainTokenMs * (plainGflops / batchGflops);
  return [
    { label: named('creating the session, weights in memory'), value: times.sessionMs, unit: 'ms' },
    { label: named('preparing an image'), value: times.imageMs, unit: 'ms' },
    { label: named('one token'), value: times.tokenMs, unit: 'ms' },
    { label: named(`${T} tokens at once, including the image`), value: times.batchWithImageMs, unit: 'ms' },
    { label: named('one token, paper’s formulation'), value: times.plainTokenMs, unit: 'ms' },
    {
      label: named('one token: speed-up over the paper’s formulation'),
      value: times.plainTokenMs / times.tokenMs,
      unit: '×',
      ...goal('single'),
    },
    {
      label: named(`${T} tokens at once, including the image: speed-up over the paper’s formulation`),
      value: answerPlainMs / times.batchWithImageMs,
      unit: '×',
      ...goal('batch'),
    },
    { label: named('one token, paper’s formulation: throughput'), value: plainGflops, unit: 'GFLOP/s' },
    {
      label: named(`one token: speed-up if the paper’s formulation ran at the throughput of ${T} tokens at once`),
      value: atBatchRate / times.tokenMs,
      unit: '×',
    },
    {
      label: named(`${T} tokens: speed-up if the paper’s formulation ran at that throughput`),
      value: (T * atBatchRate) / times.batchWithImageMs,
      unit: '×',
    },
    {
      label: named('one token relative to its matrix products alone'),
      value: times.tokenMs / times.productsTokenMs,
      unit: '×',
    },
    { label: named('one token: read rate of the matrix'), value: tokenGBps, unit: 'GB/s' },
    {
      label: named(`${T} tokens relative to their matrix products alone`),
      value: times.batchMs / times.productsBatchMs,
      unit: '×',
      ...goal('overProducts'),
    },
    { label: named(`${T} tokens at once: throughput`), value: batchGflops, unit: 'GFLOP/s' },
    {
      label: named('largest difference from float64'),
      value: Number(times.error.toExponential(1)),
      goal: '<= 0.001',
    },
    { label: named('threads'), value: times.threads },
  ];
}
