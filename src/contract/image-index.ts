// The position of each image in the single file that holds a dataset's images; docs/calibration.md describes the index.
import * as z from 'zod/mini';

const place = z.object({
  /** From the start of the file, in bytes. */
  offset: z.int().check(z.nonnegative()),
  bytes: z.int().check(z.positive()),
  sha256: z.string(),
});

const index = z.object({
  formatVersion: z.literal(1),
  mediaType: z.string(),
  /** Keyed by the name in the calibration's `image` column. */
  images: z.record(z.string(), place),
});

export type ImagePlace = z.infer<typeof place>;
export type ImageIndex = z.infer<typeof index>;

/** Throws an error that names the invalid fields, if any. */
export function parseImageIndex(data: unknown): ImageIndex {
  const result = index.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`the image index cannot be read: ${z.prettifyError(result.error)}`);
}
