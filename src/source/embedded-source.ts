import type { ModelManifest } from '../contract/manifest';
import { isOtherHeadMethod, methods } from '../contract/methods';
import type { ExplainEvent, ModelFacts, RunEvent, RunHeader, RunImage } from '../contract/run';
import { ensureSameSize } from '../contract/run-header';
import {
  type BackendChoice,
  type BackendReport,
  createModelClient,
  type HashedImage,
  type ReadyModel,
} from '../inference/model-client';
import { reasonOf } from '../text/reason-of';
import { isBlank } from '../text/visible-text';
import { embeddedOffers, headFacts, isExplainerMethod } from './embedded-offers';
import { explainAtRandom } from './explain-in-page';
import { explainByHead } from './other-head-maps';
import { type Question, QuestionRefused, type RunSource, type SourceStatus } from './run-source';

export interface EmbeddedSourceOptions {
  /** Folder of the model's manifest, with a trailing slash; relative to the page. */
  readonly modelUrl: string;
  readonly calibrationUrl?: string;
  readonly backend: BackendChoice;
  /** Tests pass their own. */
  readonly createClient?: typeof createModelClient;
}

export interface EmbeddedSource extends RunSource {
  destroy(): void;
}

/** The embedded model in its worker, as a source of runs. */
export function createEmbeddedSource(options: EmbeddedSourceOptions): EmbeddedSource {
  const { modelUrl, calibrationUrl, backend, createClient = createModelClient } = options;
  const client = createClient((reason) => {
    loading = undefined;
    setStatus({ phase: 'failed', reason });
  });
  const listeners = new Set<(status: SourceStatus) => void>();
  let status: SourceStatus = { phase: 'idle' };
  let ready: ReadyModel | undefined;
  let loading: Promise<void> | undefined;

  function setStatus(next: SourceStatus) {
    status = next;
    for (const listener of listeners) listener(next);
  }

  async function load(): Promise<void> {
    setStatus({ phase: 'loading', loadedBytes: 0, totalBytes: 0, what: 'the model' });
    try {
      const url = new URL(modelUrl, document.baseURI).href;
      ready = await client.load({ modelUrl: url, backend }, (progress) => setStatus({ phase: 'loading', ...progress }));
      setStatus(readyStatus(ready, ready));
    } catch (error) {
      loading = undefined;
      setStatus({ phase: 'failed', reason: reasonOf(error) });
      throw error;
    }
  }

  function ensureLoaded(): Promise<void> {
    loading ??= load();
    return loading;
  }

  return {
    kind: 'embedded',
    get model() {
      return ready && modelFacts(ready.manifest);
    },
    get status() {
      return status;
    },
    opensWith: 'recorded-run',
    calibrationUrl,
    hints: {
      placeholder: 'What color is the small cube?',
      suggestions: ['How many objects are there?', 'What color is the large sphere?', 'Describe the image.'],
    },
    subscribe(onStatus) {
      listeners.add(onStatus);
      return () => listeners.delete(onStatus);
    },
    load: ensureLoaded,
    maxImages: 1,
    checkQuestion(text) {
      if (isBlank(text)) return { kind: 'empty' };
      const tokenized = ready?.promptTokenizer.tokenizeQuestion(text);
      return tokenized === undefined || tokenized.kind === 'tokens' ? undefined : tokenized;
    },
    checkImage: async () => undefined,
    async *ask(question, signal): AsyncGenerator<RunEvent> {
      const askedAt = performance.now();
      let begun = false;
      if (question.images !== undefined) {
        throw new QuestionRefused(
          `The model in this page reads one image at a time, and the question has ${question.images.length}.`,
        );
      }
      try {
        await ensureLoaded();
        const request = {
          image: hashedImage(question.image),
          question: question.text,
          maxNewTokens: question.maxNewTokens,
        };
        const events = client.ask(request, signal, (report) => setStatus(readyStatus(report, ready!)));
        for await (const event of events) {
          if (event.type === 'seen') {
            ensureSameSize(event.geometry, question.image.picture);
            begun = true;
            yield { type: 'begin', header: headerOf(question, event, ready!.manifest) };
          } else {
            yield event;
          }
        }
      } catch (error) {
        if (!begun) throw error;
        const answerMs = performance.now() - askedAt;
        yield { type: 'end', end: { reason: 'failed', answerMs, firstTokenMs: 0, message: reasonOf(error) } };
      }
    },
    offers: (header, states) => embeddedOffers({ header, states, status, manifest: ready?.manifest }),
    async *explain(request, signal): AsyncGenerator<ExplainEvent> {
      const { method, header, tokens, states, tokenIndices } = request;
      if (method === 'random') return yield* explainAtRandom(request, signal);
      if (!isOtherHeadMethod(method) && !isExplainerMethod(method)) {
        throw new Error(`The model in this page does not offer ${methods[method].name}.`);
      }
      await ensureLoaded();
      const offers = embeddedOffers({ header, states, status, manifest: ready?.manifest });
      const { refusal, head } = offers.find((offer) => offer.method === method)!;
      if (refusal !== undefined) throw new Error(refusal);
      if (isOtherHeadMethod(method)) {
        yield* explainByHead({ method, head: head!, states: states!, tokenIndices }, client.headMaps, signal);
        return;
      }
      const answer = tokens.map(({ tokenId, logProb }) => ({ tokenId, logProb }));
      yield* client.explain(
        { image: hashedImage(header.image), question: header.question, tokens: answer, method, tokenIndices },
        signal,
      );
    },
    destroy: () => client.destroy(),
  };
}

function readyStatus({ backend, note }: BackendReport, { isRestarted }: ReadyModel): SourceStatus {
  return { phase: 'ready', backend, ...(note !== undefined && { note }), ...(isRestarted && { isRestarted }) };
}

function headerOf(
  { image, text, maxNewTokens }: Question,
  { geometry, askedAs }: Pick<RunHeader, 'geometry' | 'askedAs'>,
  manifest: ModelManifest,
): RunHeader {
  const plus = manifest.otherHeads?.['fastrm-plus'];
  return {
    formatVersion: 2,
    id: newRunId(),
    createdAt: new Date().toISOString(),
    question: text,
    ...(askedAs !== undefined && { askedAs }),
    image,
    geometry,
    model: modelFacts(manifest),
    head: headFacts(manifest.head),
    ...(plus && { attentionLogitsOf: { name: plus.name, revision: plus.revision } }),
    sampling: { maxNewTokens: maxNewTokens ?? manifest.prompt.maxNewTokens, temperature: 0, topP: 1, seed: 0 },
    recorded: false,
  };
}

function hashedImage({ picture, sha256 }: RunImage): HashedImage {
  return { blob: picture.blob, sha256 };
}

/** `crypto.randomUUID` is missing if the page was loaded over plain HTTP from another machine. */
function newRunId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function modelFacts({ name, revision, knows, model }: ModelManifest): ModelFacts {
  const { hiddenSize, hiddenStateStage: stage } = model;
  return { name, revision, hiddenSize, stage, knows, family: 'LLaVA-1.5', dtype: 'float32' };
}
