import * as z from 'zod/mini';
import { count, sha256 } from './shared-fields';

const photograph = z.object({
  /** Image file, relative to the index. */
  file: z.string(),
  /** Of the file: an image is recognised by its content, because its name may be that of a user's own file. */
  sha256,
  title: z.string(),
  alt: z.string(),
  widthPx: count,
  heightPx: count,
  /** Suggested questions. */
  questions: z.array(z.string()),
  author: z.string(),
  licence: z.string(),
  /** URL of the original. */
  source: z.url({ protocol: /^https$/ }),
});

const photographsIndex = z.object({ photographs: z.array(photograph) });

export type Photograph = z.infer<typeof photograph>;

/** Throws an error that names the invalid fields, if any. */
export function parsePhotographsIndex(data: unknown): readonly Photograph[] {
  const result = photographsIndex.safeParse(data);
  if (result.success) return result.data.photographs;
  throw new Error(`photographs/index.json is invalid: ${z.prettifyError(result.error)}`);
}
