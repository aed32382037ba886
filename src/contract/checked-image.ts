import type { RunImage } from './run';

/** A file that was checked for being an image that can be asked about. */
export type CheckedImage =
  /** Sizes as shown, with a camera's rotation applied. */
  | { readonly kind: 'image'; readonly image: RunImage; readonly widthPx: number; readonly heightPx: number }
  /** A sentence for the page. */
  | { readonly kind: 'refused'; readonly reason: string };
