// Fields that several parsers read.
import * as z from 'zod/mini';

export const count = z.int().check(z.positive());
export const share = z.number().check(z.gte(0), z.lte(1));
/** Whether hidden states are taken before or after the final norm. */
export const hiddenStateStage = z.enum(['post_norm', 'pre_norm']);
/** A figure with the ends of its 95 % interval: value, low, high. */
export const estimate = z.tuple([z.number(), z.number(), z.number()]);
export const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));

/** The fields that identify a FastRM head and say how to read its maps. */
export const headFields = {
  name: z.string(),
  revision: z.string(),
  stage: hiddenStateStage,
  teacher: z.string(),
  labellingThreshold: share,
  classificationThreshold: share,
  // Missing in runs from before companions compared heads with models.
  trainedOn: z.optional(z.object({ name: z.string(), revision: z.string() })),
  match: z.optional(z.enum(['same', 'unverified', 'other'])),
} as const;

export type Estimate = z.infer<typeof estimate>;
