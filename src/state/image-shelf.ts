import type { RunImage } from '../contract/run';
import type { DraftImage } from './draft';

/** Holds the bytes of the image being prepared, one image at a time. */
export interface ImageShelf {
  put(image: RunImage, alt: string): DraftImage;
  bytesOf(id: string): RunImage | undefined;
}

export function createImageShelf(): ImageShelf {
  let held: { id: string; url: string; image: RunImage } | undefined;
  let count = 0;
  return {
    put(image, alt) {
      if (held) URL.revokeObjectURL(held.url);
      const { blob, widthPx, heightPx } = image.picture;
      const url = URL.createObjectURL(blob);
      held = { id: `image-${++count}`, url, image };
      return { id: held.id, url, name: image.name, sha256: image.sha256, alt, widthPx, heightPx };
    },
    bytesOf: (id) => (held?.id === id ? held.image : undefined),
  };
}
