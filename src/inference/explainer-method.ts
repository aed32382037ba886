import type { MethodId } from '../contract/methods';

/** What the embedded model explains its answers by, besides its head. */
export const explainerMethods = [
  'chefer',
  'gradcam',
  'feature-gradcam',
  'dex-ar',
  'tam',
  'rollout',
  'attention',
] as const satisfies readonly MethodId[];

export type ExplainerMethod = (typeof explainerMethods)[number];
