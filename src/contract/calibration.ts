// What a calibration says of itself: of which model, head and data it is, and how it was made. docs/calibration.md
// describes the file; `calibration-file.ts` reads it.
import * as z from 'zod/mini';

/** The Arrow schema's metadata, and Parquet's key-value metadata, have it as JSON under this key. */
export const calibrationKey = 'patchlight.calibration';
export const supportedCalibration = 1;

const count = z.int().check(z.positive());

const facts = z.object({
  formatVersion: z.literal(supportedCalibration),
  model: z.object({
    name: z.string(),
    revision: z.string(),
    /** Revisions that the same weights go by elsewhere: an export to ONNX has one of its own. */
    sameAs: z._default(z.array(z.string()), []),
  }),
  head: z.object({ name: z.string(), revision: z.string() }),
  data: z.object({
    name: z.string(),
    /** In the order in which they are shown; the column `set` has no others. */
    sets: z.array(z.string()),
    /** A sentence for the page: what was asked about which pictures. */
    about: z.nullish(z.string()),
  }),
  /** Answers, one a row. */
  n: z.int().check(z.nonnegative()),
  createdAt: z.string(),
  /** What made it. */
  command: z.string(),
  /** Of every map, where it is one number: entropies go up to its logarithm. */
  patches: z.nullable(count),
  seed: z.int(),
  licence: z.string(),
  /** Thumbnails in one picture beside the file, `cols` square cells a row. */
  sprites: z.nullable(z.object({ file: z.string(), cols: count, cellPx: count })),
});

export type CalibrationFacts = z.infer<typeof facts>;

/** Throws with both numbers where the version is another one, else with the places that do not fit. */
export function parseCalibrationFacts(data: unknown): CalibrationFacts {
  const version = z.object({ formatVersion: z.unknown() }).safeParse(data).data?.formatVersion;
  if (version !== supportedCalibration)
    throw new Error(
      `the calibration has format version ${JSON.stringify(version)}; this page reads ${supportedCalibration}`,
    );
  const result = facts.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`what the calibration says of itself cannot be read: ${z.prettifyError(result.error)}`);
}

/** Whose map is looked at; the head is missing where the map is not FastRM's. */
export interface MapOrigin {
  readonly model: { readonly name: string; readonly revision: string };
  readonly head: { readonly name: string; readonly revision: string } | undefined;
}

export type CalibrationFit = { readonly fits: true } | { readonly fits: false; readonly reason: string };

/** Whether entropies of this model's and head's maps may be read against the calibration; else why not, as a sentence. */
export function fitOf(facts: CalibrationFacts, { model, head }: MapOrigin): CalibrationFit {
  const { model: wanted, head: wantedHead } = facts;
  if (model.name !== wanted.name || ![wanted.revision, ...wanted.sameAs].includes(model.revision))
    return { fits: false, reason: `The calibration is of model ${named(wanted)}; this answer is of ${named(model)}.` };
  if (head === undefined)
    return { fits: false, reason: `The calibration is of head ${named(wantedHead)}; this answer has none.` };
  if (head.name !== wantedHead.name || head.revision !== wantedHead.revision)
    return {
      fits: false,
      reason: `The calibration is of head ${named(wantedHead)}; this answer's maps are of ${named(head)}.`,
    };
  return { fits: true };
}

const named = ({ name, revision }: { name: string; revision: string }) => `${name} (${revision})`;
