import * as z from 'zod/mini';
import { sha256 } from './shared-fields';

const runEntry = z.object({
  /** Run file, relative to the index. */
  file: z.string(),
  /** The question, as shown in the list of examples. */
  title: z.string(),
  /** Image file, relative to the index, shown before the run is loaded. */
  image: z.string(),
});

const imageEntry = z.object({
  file: z.string(),
  sha256,
  alt: z.string(),
  /** Suggested questions about this image. */
  questions: z.array(z.string()),
});

const samplesIndex = z.object({
  /** Identity of the embedded model's weights: the images show what models with these weights know. */
  weights: z.string(),
  runs: z.array(runEntry),
  images: z.array(imageEntry),
});

export type SamplesIndex = z.infer<typeof samplesIndex>;
export type SampleRun = z.infer<typeof runEntry>;
export type SampleImage = z.infer<typeof imageEntry>;

/** Throws an error that names the invalid fields, if any. */
export function parseSamplesIndex(data: unknown): SamplesIndex {
  const result = samplesIndex.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`samples/index.json is invalid: ${z.prettifyError(result.error)}`);
}
