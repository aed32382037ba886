import {
  askedImages,
  imagesOf,
  type Picture,
  type RunEvent,
  type RunHeader,
  type RunImage,
  type StoredImage,
  type StoredRunHeader,
} from '../contract/run';
import { ensureSameSizes } from '../contract/run-header';
import { parseRunStream } from '../contract/run-stream';
import { sha256Hex } from '../contract/sha256';

/** Makes the picture of an image file. Throws if the file cannot be decoded. */
export type ReadPicture = (bytes: Uint8Array, name: string) => Promise<Picture>;

/**
 * Reads a run file as the events of a live run. Throws if the bytes are not a run, or if its maps are for an image of
 * another size than its own; an incomplete run ends with the reason `truncated`.
 */
export async function* openRecorded(
  bytes: AsyncIterable<Uint8Array> | Uint8Array,
  readPicture: ReadPicture,
): AsyncGenerator<RunEvent> {
  for await (const event of parseRunStream(bytes)) {
    yield event.type === 'begin' ? { ...event, header: await recordedHeader(event.header, readPicture) } : event;
  }
}

async function recordedHeader(header: StoredRunHeader, readPicture: ReadPicture): Promise<RunHeader> {
  const { image: _image, images: _images, ...rest } = header;
  const images = await Promise.all(imagesOf<StoredImage>(header).map((image) => recordedImage(image, readPicture)));
  ensureSameSizes(
    header,
    images.map(({ picture }) => picture),
  );
  return { ...rest, ...askedImages(images), recorded: true };
}

/** A run file may have been saved from a live run, and the hash in its header may not match its image. */
async function recordedImage({ bytes, mediaType, name }: StoredImage, readPicture: ReadPicture): Promise<RunImage> {
  const [sha256, picture] = await Promise.all([sha256Hex(bytes), readPicture(bytes, name)]);
  return { bytes, mediaType, name, sha256, picture };
}
