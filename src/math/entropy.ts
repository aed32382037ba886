/** What `p` is in the paper's H = -sum p log p; in the order in which they are offered. */
export const entropyKinds = ['sum', 'kde', 'bernoulli'] as const;

export type EntropyKind = (typeof entropyKinds)[number];
