// The companion's routes as functions. A refusal or a failed connection throws an error that can be shown to the user.
import {
  type CompanionModel,
  type ExplainBody,
  type GenerateRequest,
  parseCompanionModel,
  parseHealth,
  parseProblem,
} from '../contract/companion';
import type { RunImage } from '../contract/run';
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
  generate(question: Question, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array>>;
  /** Streams the explanation's bytes. To stop it, stop reading. */
  explain(request: ExplainRequest, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array>>;
  /** Returns rows of the unembedding matrix, as bytes. */
  unembedding(ids: readonly number[], signal: AbortSignal): Promise<Uint8Array>;
}

/** Checks the image before sending: a body rejected midway is indistinguishable from a lost connection. */
export function ensureAccepted(image: RunImage, { limits }: CompanionModel): void {
  const { length } = image.bytes;
  if (length > limits.imageBytes) {
    throw new QuestionRefused(`${image.name} has ${length} bytes; the companion accepts at most ${limits.imageBytes}`);
  }
  if (!limits.imageFormats.includes(image.mediaType)) {
    throw new QuestionRefused(
      `${image.name} is ${image.mediaType}; the companion accepts ${limits.imageFormats.join(', ')}`,
    );
  }
}

const factsTimeoutMs = 5000;

export function createCompanionHttp(apiUrl: string): CompanionHttp {
  const get = async (path: string, signal?: AbortSignal): Promise<unknown> => {
    const response = await reach(new URL(path, apiUrl), { cache: 'no-store', ...(signal && { signal }) });
    if (!response.ok) throw await refusalOf(response);
    return response.json().catch(() => undefined);
  };
  /** Sends a request with its image and streams the bytes of the response. */
  const post = async (path: string, request: GenerateRequest | ExplainBody, image: RunImage, signal: AbortSignal) => {
    const body = new FormData();
    body.set('request', new Blob([JSON.stringify(request)], { type: 'application/json' }));
    body.set('image', new Blob([image.bytes], { type: image.mediaType }), image.name);
    const response = await reach(new URL(path, apiUrl), { method: 'POST', body, signal });
    if (!response.ok) throw await refusalOf(response);
    if (response.body === null) throw new Error('the companion sent no response');
    return chunksOf(response.body);
  };
  return {
    apiUrl,
    checkHealth: async () => parseHealth(await get('health', AbortSignal.timeout(factsTimeoutMs))),
    model: async () => parseCompanionModel(await get('model', AbortSignal.timeout(factsTimeoutMs))),
    generate({ image, text, maxNewTokens }, signal) {
      // The page already has the image, so the companion need not send it back.
      const request: GenerateRequest = { question: text, sendImage: false, ...(maxNewTokens && { maxNewTokens }) };
      return post('generate', request, image, signal);
    },
    explain({ method, header, tokens, tokenIndices }, signal) {
      const request: ExplainBody = {
        question: header.question,
        method,
        answerIds: tokens.map(({ tokenId }) => tokenId),
        logProbs: tokens.map(({ logProb }) => logProb),
        tokenIndices: [...tokenIndices],
      };
      return post('explain', request, header.image, signal);
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
