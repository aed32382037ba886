/** How the values of an answer's tokens become one of the answer; in the order in which they are offered. */
export const poolings = ['mean', 'content-mean', 'max', 'min', 'first-content', 'last-content'] as const;

export type Pooling = (typeof poolings)[number];

/** As each is written wherever it is named. */
export const poolingNames: Readonly<Record<Pooling, string>> = {
  mean: 'mean of all tokens',
  'content-mean': 'mean of content tokens',
  max: 'largest',
  min: 'smallest',
  'first-content': 'first content token',
  'last-content': 'last content token',
};
