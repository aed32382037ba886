import type { RunImage } from '../contract/run';
import type { DraftImage } from './draft';

/** Holds the bytes of the images being prepared. */
export interface ImageShelf {
  /** Holds an image, and of those already held only the ones in `keep`. */
  put(image: RunImage, alt: string, keep?: readonly DraftImage[]): DraftImage;
  bytesOf(id: string): RunImage | undefined;
}

export function createImageShelf(): ImageShelf {
  const held = new Map<string, { readonly url: string; readonly image: RunImage }>();
  let count = 0;
  return {
    put(image, alt, keep = []) {
      for (const [id, { url }] of held) {
        if (keep.some((other) => other.id === id)) continue;
        URL.revokeObjectURL(url);
        held.delete(id);
      }
      const { blob, widthPx, heightPx } = image.picture;
      const url = URL.createObjectURL(blob);
      const id = `image-${++count}`;
      held.set(id, { url, image });
      return { id, url, name: image.name, sha256: image.sha256, alt, widthPx, heightPx };
    },
    bytesOf: (id) => held.get(id)?.image,
  };
}
