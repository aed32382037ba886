import type { MethodId } from '../contract/methods';
import { type Frame, type FrameName, imagesOf, type RunHeader } from '../contract/run';
import { averageMaps, summariseMap } from '../math/maps/map-values';
import { type FramePlacement, framePlacement } from '../math/maps/patch-geometry';
import type { RunSnapshot } from './run-record';

/** The frame on screen. */
export interface ShownFrame {
  readonly name: FrameName;
  /** The index of its image. */
  readonly image: number;
  readonly placement: FramePlacement;
  /** All frames of its image; the first is the default. */
  readonly all: readonly Frame[];
  /** Number of images in the run. */
  readonly images: number;
}

export interface FrameRequest {
  readonly name: FrameName | null;
  /** The index of the image; the first if it is undefined. */
  readonly image?: number | undefined;
}

/** The frame called `name` of an image, or the image's first. */
export function selectFrame(
  header: Pick<RunHeader, 'geometry' | 'image' | 'images'>,
  request: FrameRequest,
): ShownFrame {
  const images = imagesOf(header);
  const shown = images[request.image ?? 0] === undefined ? 0 : (request.image ?? 0);
  const { frames, ...rest } = header.geometry;
  const all = frames.filter(({ image = 0 }) => image === shown);
  const frame = all.find(({ name }) => name === request.name) ?? all[0];
  if (frame === undefined) throw new Error(`image ${shown + 1} of ${images.length} has no frame`);
  const { widthPx, heightPx } = images[shown]!.picture;
  const size = shown === 0 ? rest : { sourceWidthPx: widthPx, sourceHeightPx: heightPx };
  const placement = framePlacement({ ...size, frames }, frames.indexOf(frame));
  return { name: frame.name, image: shown, placement, all, images: images.length };
}

/**
 * The index of the image to show: the one that the user switched to, otherwise the one on which the mean map of the
 * tokens peaks. Undefined if there is only one image, or no map.
 */
export function selectImage(
  run: Pick<RunSnapshot, 'header' | 'mapOf'>,
  map: { readonly method: MethodId; readonly indices: readonly number[] },
  switchedTo: number | undefined,
): number | undefined {
  const { images, geometry } = run.header;
  if (images === undefined || switchedTo !== undefined) return images && switchedTo;
  const maps = map.indices.map((index) => run.mapOf(index, map.method)).filter((one) => one !== undefined);
  const mean = averageMaps(maps.map(({ values }) => values));
  return mean && peakImage(geometry, mean);
}

/** The index of the image on which a complete map has its largest value. */
function peakImage({ frames }: RunHeader['geometry'], values: Float32Array): number {
  const { maxIndex } = summariseMap(values);
  let end = 0;
  for (const { grid, image = 0 } of frames) {
    end += grid.rows * grid.cols;
    if (maxIndex < end) return image;
  }
  return 0;
}
