import type { RunImage } from '../contract/run';
import type { DraftImage } from './draft';

/** Holds the bytes of the image being prepared, one image at a time. */
export interface ImageShelf {
  put(image: RunImage, size: { widthPx: number; heightPx: number }, alt: string): DraftImage;
  bytesOf(id: string): RunImage | undefined;
}

export function createImageShelf(): ImageShelf {
  let held: { id: string; url: string; image: RunImage } | undefined;
  let count = 0;
  return {
    put(image, { widthPx, heightPx }, alt) {
      if (held) URL.revokeObjectURL(held.url);
      const url = URL.createObjectURL(new Blob([image.bytes], { type: image.mediaType }));
      held = { id: `image-${++count}`, url, image };
      return { id: held.id, url, name: image.name, alt, widthPx, heightPx };
    },
    bytesOf: (id) => (held?.id === id ? held.image : undefined),
  };
}
