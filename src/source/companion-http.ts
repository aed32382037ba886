// The companion's routes as functions. A refusal or a failed connection throws an error that can be shown to the user.
import {
  type CompanionModel,
  type ExplainBody,
  type GenerateRequest,
  parseCompanionModel,
  parseHealth,
  parseProblem,
} from '../contract/companion';
import { imagesOf, type Picture, type RunImage } from '../contract/run';
import type { EncodedPicture } from '../inference/picture-client';
import { formatCount } from '../text/number-format';
import { type ExplainRequest, type Question, QuestionRefused } from './run-source';

/** The companion does not respond, or the connection was lost. */
export class CompanionGone extends Error {
  constructor() {
    super('the companion does not respond (is patchlight serve still running?)');
  }
}

export interface CompanionHttp {
  /** Absolute URL of the API, with a trailing slash. */
  readonly apiUrl: string;
  /** Throws if the companion does not respond or speaks another protocol. */
  checkHealth(): Promise<void>;
  model(): Promise<CompanionModel>;
  /** Streams the run's bytes. To stop the answer, stop reading. */
  generate(question: Question, options: GenerateOptions, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array>>;
  /** Streams the explanation's bytes. To stop it, stop reading. */
  explain(request: ExplainRequest, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array>>;
  /** Returns rows of the unembedding matrix, as bytes. */
  unembedding(ids: readonly number[], signal: AbortSignal): Promise<Uint8Array>;
}

interface GenerateOptions {
  /** Whether to ask for the unembedding rows of the answer's tokens; earlier companions refuse to be asked. */
  readonly sendUnembedding: boolean;
}

/** Encodes pictures for sending. */
export type EncodePicture = (picture: Picture) => Promise<EncodedPicture>;

/** A PNG of this many bytes per pixel, and some more, is larger than any that holds RGB pixels. */
const maxBytesPerPixel = 3.1;
const maxExtraBytes = 65_536;

/**
 * Returns why the companion would refuse a question's images, or undefined. It is checked before sending, because a
 * body that is rejected midway is indistinguishable from a lost connection.
 */
export async function imageRefusal(
  images: readonly RunImage[],
  { name: model, limits }: CompanionModel,
  encode: EncodePicture,
): Promise<string | undefined> {
  if (images.length > limits.images) {
    const most = formatCount(limits.images, 'image', 'images');
    return `The question has ${images.length} images; ${model} accepts at most ${most} here. Remove some first`;
  }
  for (const { name, picture } of images) {
    const { widthPx, heightPx } = picture;
    if (Math.max(widthPx, heightPx) > limits.imageAspectRatio * Math.min(widthPx, heightPx)) {
      return `${name} is ${widthPx} × ${heightPx} pixels; the companion accepts sides up to ${limits.imageAspectRatio}:1. Crop it first`;
    }
  }
  const subject = nameOfAll(images);
  const pixels = images.reduce((sum, { picture }) => sum + picture.widthPx * picture.heightPx, 0);
  if (pixels > limits.imagePixels) {
    const sizes = images.map(({ picture: { widthPx, heightPx } }) => `${widthPx} × ${heightPx}`).join(', ');
    return `${subject} ${pixels} pixels (${sizes}); the companion accepts at most ${limits.imagePixels}. ${smaller(images)}`;
  }
  // A photo takes a second to encode, so it is not waited for unless its size decides.
  const encodings = images.map(({ picture }) => encode(picture));
  if (pixels * maxBytesPerPixel + images.length * maxExtraBytes <= limits.imageBytes) {
    for (const encoding of encodings) encoding.catch(() => {}); // sending it reports the error
    return undefined;
  }
  const size = (await Promise.all(encodings)).reduce((sum, { png }) => sum + png.size, 0);
  if (size <= limits.imageBytes) return undefined;
  const sent = images.length === 1 ? 'as the PNG that is sent' : 'as the PNGs that are sent';
  return `${subject} ${size} bytes ${sent}; the companion accepts at most ${limits.imageBytes}. ${smaller(images)}`;
}

function nameOfAll(images: readonly RunImage[]): string {
  return images.length === 1 ? `${images[0]!.name} has` : `The ${images.length} images together have`;
}

function smaller(images: readonly RunImage[]): string {
  return images.length === 1 ? 'Make it smaller first' : 'Make them smaller or remove some first';
}

/** Throws if the companion would refuse the images. */
export async function ensureAccepted(
  images: readonly RunImage[],
  model: CompanionModel,
  encode: EncodePicture,
): Promise<void> {
  const refusal = await imageRefusal(images, model, encode);
  if (refusal !== undefined) throw new QuestionRefused(refusal);
}

const factsTimeoutMs = 5000;

export function createCompanionHttp(apiUrl: string, encode: EncodePicture): CompanionHttp {
  const get = async (path: string, signal?: AbortSignal): Promise<unknown> => {
    const response = await reach(new URL(path, apiUrl), { cache: 'no-store', ...(signal && { signal }) });
    if (!response.ok) throw await refusalOf(response);
    return response.json().catch(() => undefined);
  };
  /** Sends a request with its pictures and streams the bytes of the response. */
  const post = async (
    path: string,
    request: GenerateRequest | ExplainBody,
    images: readonly RunImage[],
    signal: AbortSignal,
  ) => {
    const encoded = await Promise.all(images.map(({ picture }) => encode(picture)));
    const pixels = images.map(({ picture: { widthPx, heightPx } }, at) => ({
      widthPx,
      heightPx,
      sha256: encoded[at]!.pixelsSha256,
    }));
    // Companions of an earlier version do not accept a list.
    const checked = { ...request, pixels: pixels.length === 1 ? pixels[0] : pixels };
    const body = new FormData();
    body.set('request', new Blob([JSON.stringify(checked)], { type: 'application/json' }));
    for (const [at, { name }] of images.entries()) body.append('image', encoded[at]!.png, `${name}.png`);
    const response = await reach(new URL(path, apiUrl), { method: 'POST', body, signal });
    if (!response.ok) throw await refusalOf(response);
    if (response.body === null) throw new Error('the companion sent no response');
    return chunksOf(response.body);
  };
  return {
    apiUrl,
    checkHealth: async () => parseHealth(await get('health', AbortSignal.timeout(factsTimeoutMs))),
    model: async () => parseCompanionModel(await get('model', AbortSignal.timeout(factsTimeoutMs))),
    generate(question, { sendUnembedding }, signal) {
      const { text, maxNewTokens } = question;
      const request: GenerateRequest = {
        question: text,
        sendImage: false, // the page has it
        ...(sendUnembedding && { sendUnembedding }),
        ...(maxNewTokens && { maxNewTokens }),
      };
      return post('generate', request, imagesOf(question), signal);
    },
    explain({ method, header, tokens, tokenIndices }, signal) {
      const request: ExplainBody = {
        question: header.question,
        method,
        answerIds: tokens.map(({ tokenId }) => tokenId),
        logProbs: tokens.map(({ logProb }) => logProb),
        tokenIndices: [...tokenIndices],
      };
      return post('explain', request, imagesOf(header), signal);
    },
    async unembedding(ids, signal) {
      const response = await reach(new URL(`unembedding?ids=${ids.join()}`, apiUrl), { signal });
      if (!response.ok) throw await refusalOf(response);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

async function reach(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const isStopped = init.signal?.aborted && (error as Error).name === 'AbortError';
    throw isStopped ? error : new CompanionGone();
  }
}

/** Not every browser supports async iteration of streams. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    void reader.cancel().catch(() => {});
  }
}

const refusedStatuses = [400, 413, 415, 422];

async function refusalOf(response: Response): Promise<Error> {
  const { status } = response;
  const detail = parseProblem(await response.json().catch(() => undefined))?.detail;
  if (status === 401)
    return new Error('the companion requires its token: open the address that patchlight serve printed');
  if (status === 503)
    return new Error(
      detail ?? `the companion is busy: try again in ${response.headers.get('Retry-After') ?? 'some'} s`,
    );
  const reason = detail ?? `the companion answered with status ${status}`;
  return refusedStatuses.includes(status) ? new QuestionRefused(reason) : new Error(reason);
}
