import * as z from 'zod/mini';

const runEntry = z.object({
  /** Arrow stream, beside the index. */
  file: z.string(),
  /** The question, as the list of examples shows it. */
  title: z.string(),
  /** Picture beside the index, shown before the run itself has been read. */
  image: z.string(),
});

const imageEntry = z.object({
  file: z.string(),
  alt: z.string(),
  /** Suggestions that fit this image. */
  questions: z.array(z.string()),
});

const samplesIndex = z.object({ runs: z.array(runEntry), images: z.array(imageEntry) });

export type SamplesIndex = z.infer<typeof samplesIndex>;
export type SampleRun = z.infer<typeof runEntry>;
export type SampleImage = z.infer<typeof imageEntry>;

/** Throws with the places that do not fit. */
export function parseSamplesIndex(data: unknown): SamplesIndex {
  const result = samplesIndex.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`samples/index.json: ${z.prettifyError(result.error)}`);
}
