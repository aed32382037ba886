// The protocol of the picture worker.

import type { Picture } from '../contract/run';
import type { StillImage } from '../contract/still-image';

/** A picture as a PNG file, with the hashes of the file and of its RGB bytes. */
export interface EncodedPicture {
  readonly png: Blob;
  readonly pngSha256: string;
  readonly pixelsSha256: string;
}

export interface PictureProtocol {
  /** Flattens on white, places and turns. Rejects with what is wrong if the image cannot be decoded. */
  flatten: { request: StillImage; response: Picture };
  encode: { request: Picture; response: EncodedPicture };
}
