// The FastRM head in its folded form: one d x d matrix; the image's states need only a LayerNorm.
import { createRandom } from '../math/random';
import { reasonOf } from '../text/reason-of';
import { createGraph, type Graph, type GraphFiles, InvalidOutput } from './graph';
import type { Backend, Runtime } from './runtime';
import type { Feeds, FloatTensor } from './tensor';

export interface HeadFiles {
  /** patch_states [P, d] -> normalised [P, d] */
  readonly norm: GraphFiles;
  /** query_states [T, d], patch_states [P, d] normalised and, for FastRM+, attention_logits [T, P] -> probabilities [T, P] */
  readonly head: GraphFiles;
  /** The graph of `head` with its weights for words: `patch_states` are then the prompt's text tokens [m, d]. */
  readonly text?: GraphFiles | undefined;
}

/** The head's two outputs for T tokens. */
interface HeadOutput {
  /** Probabilities [T, P] of the image's patches. */
  readonly patches: FloatTensor;
  /** Probabilities [T, m] of the prompt's text tokens; undefined if the head has none, or none that can be used. */
  readonly prompt: FloatTensor | undefined;
}

export interface Head {
  readonly backend: Backend;
  /** Why the head's output for words is not used although it has one. */
  readonly textProblem: string | undefined;
  /** Whether `maps` needs attention logits, as FastRM+ does. */
  readonly readsAttention: boolean;
  /** [P, d] last hidden states at the image's patches, row-major over the grid; call once per image. */
  setImage(patchStates: FloatTensor): Promise<void>;
  /** [m, d] last hidden states at the prompt's text tokens; call once per question, after `setImage`. */
  setPrompt(promptStates: FloatTensor): Promise<void>;
  /** Computes probabilities from the [T, d] states that predicted the tokens, and their attention logits [T, P]. */
  maps(queryStates: FloatTensor, attentionLogits?: FloatTensor): Promise<HeadOutput>;
  destroy(): Promise<void>;
}

const attentionInput = 'attention_logits';

const untrained =
  'The head’s probabilities are 0 everywhere or not finite, so there is no map. Its training has probably failed: ' +
  'train it again with another learning rate, or serve another head';

export async function createHead(runtime: Runtime, files: HeadFiles, preferred: Backend): Promise<Head> {
  // The norm stays on WASM: it runs once per image, and WASM needs its result if the device fails.
  const norm = await createGraph(runtime, files.norm, 'wasm');
  const head = await createGraph(runtime, files.head, preferred);
  const readsAttention = head.inputs.includes(attentionInput);
  let textProblem: string | undefined;
  let text: Graph | undefined;
  let patches: FloatTensor | undefined;
  let prompt: FloatTensor | undefined;
  const { text: textFiles } = files;
  if (textFiles) text = await orWithoutWords(() => createGraph(runtime, textFiles, preferred));

  /** A failure of the output for words costs this question's words only: the image's maps do not depend on it. */
  async function orWithoutWords<T>(step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      textProblem = `The head’s output for words cannot be used: ${reasonOf(error)}`;
      prompt = undefined;
      return undefined;
    }
  }

  async function normalised(states: FloatTensor): Promise<FloatTensor> {
    const outputs = await norm.run({ patch_states: states }, ['normalised']);
    return outputs.normalised!;
  }

  return {
    get backend() {
      return head.backend;
    },
    get textProblem() {
      return textProblem;
    },
    readsAttention,
    async setImage(patchStates) {
      patches = await normalised(patchStates);
      prompt = undefined;
    },
    async setPrompt(promptStates) {
      if (text === undefined) return;
      textProblem = undefined;
      prompt = await orWithoutWords(() => normalised(promptStates));
    },
    async maps(queryStates, attentionLogits) {
      if (patches === undefined) throw new Error('the head has no image yet');
      if (readsAttention && attentionLogits === undefined)
        throw new Error('the head reads attention besides hidden states, and got none');
      const further = readsAttention && attentionLogits ? { [attentionInput]: attentionLogits } : {};
      const ofPatches = await probabilities(head, queryStates, patches, further).catch((error) => {
        throw error instanceof InvalidOutput ? new Error(`${untrained} (${error.message})`) : error;
      });
      const [words, states] = [text, prompt];
      const ofPrompt = words && states && (await orWithoutWords(() => probabilities(words, queryStates, states)));
      return { patches: ofPatches, prompt: ofPrompt };
    },
    async destroy() {
      await norm.destroy();
      await head.destroy();
      await text?.destroy();
    },
  };
}

async function probabilities(
  graph: Graph,
  queryStates: FloatTensor,
  states: FloatTensor,
  further: Feeds = {},
): Promise<FloatTensor> {
  const outputs = await graph.run({ query_states: queryStates, patch_states: states, ...further }, ['probabilities']);
  return outputs.probabilities!;
}

/** Largest difference from WASM's probabilities at which a WebGPU head is trusted. */
const maxBackendDifference = 1e-3;

export interface ChosenHead {
  readonly head: Head;
  /** Why WebGPU is not used although there is a device. */
  readonly note: string | undefined;
  /** Why the head was chosen without its output for words. */
  readonly textProblem: string | undefined;
}

/** Why WebGPU, or the output for words, is not used; undefined if all that the head has is used. */
export function headNote(
  { head, note, textProblem }: ChosenHead,
  { deviceNote }: Pick<Runtime, 'deviceNote'>,
): string | undefined {
  const ofBackend = head.backend === 'wasm' ? (note ?? deviceNote) : undefined;
  return [ofBackend, head.textProblem ?? textProblem].filter((one) => one !== undefined).join('. ') || undefined;
}

/** Chooses WebGPU if there is a device that matches WASM on seeded random states, otherwise WASM. */
export async function chooseHead(runtime: Runtime, files: HeadFiles, hiddenSize: number): Promise<ChosenHead> {
  const wasm = await createHead(runtime, files, 'wasm');
  if (runtime.device === undefined) return { head: wasm, note: runtime.deviceNote, textProblem: undefined };
  const expected = await probe(wasm, hiddenSize);
  const { textProblem } = wasm;
  // An output that fails on WASM too must not count as a failure of the device.
  const usable = textProblem === undefined ? files : { ...files, text: undefined };
  const webgpu = await createHead(runtime, usable, 'webgpu');
  const difference = differenceOf(expected, await probe(webgpu, hiddenSize));
  if (webgpu.backend === 'webgpu' && runtime.device !== undefined && difference <= maxBackendDifference) {
    await wasm.destroy();
    return { head: webgpu, note: undefined, textProblem };
  }
  const note = runtime.deviceNote ?? `WebGPU differs from WASM by ${difference.toExponential(1)}`;
  await webgpu.destroy();
  return { head: wasm, note, textProblem };
}

async function probe(head: Head, hiddenSize: number): Promise<HeadOutput> {
  const [patches, tokens] = [16, 3];
  await head.setImage(noise(patches, hiddenSize));
  await head.setPrompt(noise(5, hiddenSize));
  return head.maps(noise(tokens, hiddenSize), head.readsAttention ? noise(tokens, patches) : undefined);
}

function differenceOf(expected: HeadOutput, actual: HeadOutput): number {
  const ofPrompt = largestDifference(expected.prompt?.data ?? none, actual.prompt?.data ?? none);
  return Math.max(largestDifference(expected.patches.data, actual.patches.data), ofPrompt);
}

const none = new Float32Array();

/** [rows, cols] in -1..1, the same on every call. */
function noise(rows: number, cols: number): FloatTensor {
  const { unit } = createRandom(1);
  return { data: Float32Array.from({ length: rows * cols }, () => 2 * unit() - 1), dims: [rows, cols] };
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}
