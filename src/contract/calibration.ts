// A calibration's metadata: its model, head and data, and how it was made. docs/calibration.md describes the file;
// `calibration-file.ts` reads it.
import * as z from 'zod/mini';

/** Key of this JSON in the Arrow schema's metadata and in Parquet's key-value metadata. */
export const calibrationKey = 'patchlight.calibration';
export const supportedCalibration = 1;

const count = z.int().check(z.positive());

const facts = z.object({
  formatVersion: z.literal(supportedCalibration),
  model: z.object({
    name: z.string(),
    revision: z.string(),
    /** Other revisions with the same weights; an ONNX export, for example, has a different revision. */
    sameAs: z._default(z.array(z.string()), []),
  }),
  head: z.object({ name: z.string(), revision: z.string() }),
  data: z.object({
    name: z.string(),
    /** In display order; the column `set` holds only these values. */
    sets: z.array(z.string()),
    /** A sentence that the page shows: which questions were asked about which images. */
    about: z.nullish(z.string()),
  }),
  /** Number of answers, one per row. */
  n: z.int().check(z.nonnegative()),
  createdAt: z.string(),
  /** The command that created the file. */
  command: z.string(),
  /** Patches per map, if all maps have the same number; its logarithm is the maximum entropy. */
  patches: z.nullable(count),
  seed: z.int(),
  licence: z.string(),
  /** A sprite sheet of thumbnails, next to the calibration file, with `cols` square cells per row. */
  sprites: z.nullable(z.object({ file: z.string(), cols: count, cellPx: count })),
  /** The file that holds all images and the index of their positions in it; both are next to the calibration file. */
  images: z.nullish(z.object({ file: z.string(), index: z.string() })),
});

export type CalibrationFacts = z.infer<typeof facts>;

/** Throws if the version is not supported or fields are invalid; the error names the versions or the fields. */
export function parseCalibrationFacts(data: unknown): CalibrationFacts {
  const version = z.object({ formatVersion: z.unknown() }).safeParse(data).data?.formatVersion;
  if (version !== supportedCalibration)
    throw new Error(
      `the calibration has format version ${JSON.stringify(version)}; this page supports ${supportedCalibration}`,
    );
  const result = facts.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`the calibration's metadata is invalid: ${z.prettifyError(result.error)}`);
}

/** The model and head that computed a map; the head is undefined unless the method is FastRM. */
export interface MapOrigin {
  readonly model: { readonly name: string; readonly revision: string };
  readonly head: { readonly name: string; readonly revision: string } | undefined;
}

export type CalibrationFit = { readonly fits: true } | { readonly fits: false; readonly reason: string };

/** Whether entropies of maps by this model and head can be compared with the calibration and, if not, why. */
export function fitOf(facts: CalibrationFacts, { model, head }: MapOrigin): CalibrationFit {
  const { model: ownModel, head: ownHead } = facts;
  if (model.name !== ownModel.name || ![ownModel.revision, ...ownModel.sameAs].includes(model.revision))
    return {
      fits: false,
      reason: `The calibration is for model ${label(ownModel)}; this answer is by ${label(model)}.`,
    };
  if (head === undefined)
    return { fits: false, reason: `The calibration is for head ${label(ownHead)}; this answer has no head.` };
  if (head.name !== ownHead.name || head.revision !== ownHead.revision)
    return {
      fits: false,
      reason: `The calibration is for head ${label(ownHead)}; this answer's maps are by ${label(head)}.`,
    };
  return { fits: true };
}

const label = ({ name, revision }: { name: string; revision: string }) => `${name} (${revision})`;
