import * as z from 'zod/mini';
import type { AskedImages, Frame, ImageGeometry, ImageSize, Picture, RunHeader, StoredImage } from './run';
import { count, headFields, hiddenStateStage, share } from './shared-fields';

/** Version of the run stream and of the companion protocol that carries it. */
export const supportedFormat = 2;

type ImageFacts = Omit<StoredImage, 'bytes'>;

/** The header stored in the stream's metadata: everything except the images' bytes. */
export type StreamHeader = Omit<RunHeader, keyof AskedImages | 'noHead'> & {
  readonly image: ImageFacts;
  readonly images?: readonly (ImageFacts & ImageSize)[] | undefined;
};

const length = z.number().check(z.positive());

const frame = z.object({
  name: z.enum(['image', 'detail', 'overview']),
  crop: z.object({ xPx: z.number(), yPx: z.number(), widthPx: length, heightPx: length }),
  grid: z.object({ rows: count, cols: count }),
  modelWidthPx: count,
  modelHeightPx: count,
  image: z.optional(z.int().check(z.nonnegative())),
});

const image = z.object({ mediaType: z.string(), name: z.string(), sha256: z.string() });
const sizedImage = z.object({ ...image.shape, widthPx: count, heightPx: count });

const fields = z.object({
  id: z.string(),
  createdAt: z.string(),
  question: z.string(),
  askedAs: z.optional(z.string()),
  image,
  images: z.optional(z.array(sizedImage).check(z.minLength(2))),
  geometry: z.object({
    sourceWidthPx: count,
    sourceHeightPx: count,
    preprocessing: z.string(),
    frames: z
      .tuple([frame], frame)
      .check(
        z.refine(
          (frames) => new Set(frames.map(({ name, image = 0 }) => `${image} ${name}`)).size === frames.length,
          'frame names must be unique per image',
        ),
      ),
  }),
  model: z.object({
    name: z.string(),
    revision: z.string(),
    hiddenSize: count,
    stage: hiddenStateStage,
    knows: z.string(),
    family: z.string(),
    dtype: z.string(),
  }),
  head: z.nullable(z.object(headFields)),
  attentionLogitsOf: z.optional(z.object({ name: z.string(), revision: z.string() })),
  sampling: z.object({
    maxNewTokens: count,
    temperature: z.number().check(z.nonnegative()),
    topP: share,
    seed: z.int(),
  }),
  recorded: z.boolean(),
});

const header = fields.check(
  z.refine(
    ({ head, model }) => head === null || head.stage === model.stage,
    "the head must read hidden states of the model's stage",
  ),
  z.refine(
    ({ images, image }) => images === undefined || images[0]?.sha256 === image.sha256,
    'the first of the images must be the image',
  ),
  z.refine(
    ({ images, geometry }) => hasFramesOfAll(geometry.frames, images?.length ?? 1),
    'frames must be listed image by image, at least one for each',
  ),
);

function hasFramesOfAll(frames: readonly Pick<Frame, 'image'>[], count: number): boolean {
  const order = [...new Set(frames.map(({ image = 0 }) => image))];
  const isSorted = frames.every(({ image = 0 }, at) => image >= (frames[at - 1]?.image ?? 0));
  return isSorted && order.length === count && order.every((image, at) => image === at);
}

/** Throws if the version is not supported or fields are invalid; the error names the versions or the fields. */
export function parseStreamHeader(text: string): StreamHeader {
  const data = parseJson(text);
  const version = z.safeParse(z.object({ formatVersion: z.unknown() }), data).data?.formatVersion;
  if (version !== supportedFormat) {
    throw new Error(`This run has format version ${version}; this page supports version ${supportedFormat}`);
  }
  const result = header.safeParse(data);
  if (!result.success) throw new Error(`This run's header cannot be read: ${z.prettifyError(result.error)}`);
  return { ...result.data, formatVersion: supportedFormat, head: result.data.head ?? undefined };
}

/** P: the number of patches in all frames. */
export function patchCount({ geometry }: Pick<RunHeader, 'geometry'>): number {
  return geometry.frames.reduce((sum, { grid }) => sum + grid.rows * grid.cols, 0);
}

/** Throws if the maps are for an image of another size than the one that is shown. */
export function ensureSameSize({ sourceWidthPx, sourceHeightPx }: ImageGeometry, { widthPx, heightPx }: Picture): void {
  if (sourceWidthPx === widthPx && sourceHeightPx === heightPx) return;
  throw new Error(
    `the maps are for an image of ${sourceWidthPx} × ${sourceHeightPx} pixels, but the image has ${widthPx} × ${heightPx}`,
  );
}

/** Throws if the maps are for other images than the pictures, in number or size. */
export function ensureSameSizes(
  { geometry, images }: Pick<StreamHeader, 'geometry' | 'images'>,
  pictures: readonly Picture[],
): void {
  const count = images?.length ?? 1;
  if (pictures.length !== count) {
    throw new Error(`the maps are for ${count} images, but there are ${pictures.length}`);
  }
  for (const [at, picture] of pictures.entries()) {
    const size = images?.[at];
    const source = size && { ...geometry, sourceWidthPx: size.widthPx, sourceHeightPx: size.heightPx };
    ensureSameSize(source ?? geometry, picture);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This run's header cannot be read: it is not JSON");
  }
}
