import type { RunImage } from './run';

/** The result of checking whether a file is an image that the user can ask about. */
export type CheckedImage =
  | { readonly kind: 'image'; readonly image: RunImage }
  /** `reason` is a complete sentence for the user. */
  | { readonly kind: 'refused'; readonly reason: string };
