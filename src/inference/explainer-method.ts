import type { MethodId } from '../contract/methods';

/** The methods the embedded model offers besides its head. */
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
