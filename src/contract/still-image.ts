import type { Orientation } from './exif-orientation';

export type ImageMediaType = 'image/png' | 'image/jpeg' | 'image/webp' | 'image/gif';

/** An image file without its metadata and without frames after the first. */
export interface StillImage {
  readonly mediaType: ImageMediaType;
  /** Size as stored, before `orientation` is applied. */
  readonly widthPx: number;
  readonly heightPx: number;
  readonly orientation: Orientation;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * `browser`: `bytes` have no partial transparency, so every browser decodes them to the same pixels. The others have
   * some, or samples of 16 bits, and are decoded by this page's own PNG decoder or by libwebp.
   */
  readonly decoder: 'browser' | 'png' | 'libwebp';
  /** Whether `bytes` decode to an opaque image of the full size. */
  readonly isOpaque: boolean;
  /** Where the decoded image lies on a white image of the full size, if it is smaller: the first frame of an animation. */
  readonly place?: { readonly xPx: number; readonly yPx: number };
}

export type ImageFile =
  | { readonly kind: 'image'; readonly image: StillImage }
  /** `missing`: what it lacks, as the rest of a sentence that starts with the file's name. */
  | { readonly kind: 'cut-off'; readonly mediaType: ImageMediaType; readonly missing: string }
  | { readonly kind: 'damaged'; readonly mediaType: ImageMediaType; readonly problem: string }
  /** `found`: what the file is instead, with its article. */
  | { readonly kind: 'unsupported'; readonly found: string };
