import { createHash } from 'node:crypto';
import {
  Binary,
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  List,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { diskPng } from './images';

const sizePx = { width: 900, height: 450 };
const detail = { rows: 12, cols: 24 };
const overview = { rows: 6, cols: 6 };
/** The brightest patch in each frame, with rows and columns counted from 0. */
export const peaks = { detail: { row: 4, col: 17 }, overview: { row: 3, col: 1 } };

const alternative = new Struct<{ tokenId: Int32; text: Utf8; logProb: Float32 }>([
  new Field('tokenId', new Int32()),
  new Field('text', new Utf8()),
  new Field('logProb', new Float32()),
]);
const promptToken = new Struct<{ tokenId: Int32; text: Utf8 }>([
  new Field('tokenId', new Int32()),
  new Field('text', new Utf8()),
]);
const floats = new List(new Field('item', new Float32()));
const columns: Record<string, DataType> = {
  kind: new Utf8(),
  picture: new Binary(),
  promptTokens: new List(new Field('item', promptToken)),
  states32: floats,
  index: new Int32(),
  tokenId: new Int32(),
  text: new Utf8(),
  word: new Int32(),
  logProb: new Float32(),
  alternatives: new List(new Field('item', alternative)),
  queryState32: floats,
  map: floats,
  mapPrompt: floats,
  mapBackend: new Utf8(),
  mapComputeMs: new Float64(),
  reason: new Utf8(),
  answerMs: new Float64(),
  firstTokenMs: new Float64(),
};

/** Returns a map that falls off from `peak` to 0 within a few patches. */
function bump({ rows, cols }: typeof detail, peak: typeof peaks.detail): number[] {
  return Array.from({ length: rows * cols }, (_, i) => {
    const distance = Math.hypot(Math.floor(i / cols) - peak.row, (i % cols) - peak.col);
    return Math.max(0, 0.9 - distance * 0.2);
  });
}

/** The texts of a run, and what it says about them; by default, short ones. */
export interface RunTexts {
  readonly id?: string;
  readonly question?: string;
  /** One text per token. */
  readonly answer?: readonly string[];
  /** The image's file name. */
  readonly name?: string;
  readonly model?: string;
  readonly preprocessing?: string;
  /** The prompt's tokens; by default, the run has none. */
  readonly prompt?: readonly string[];
  /** For each token of the answer, the probability of each token of the prompt. */
  readonly promptMaps?: readonly (readonly number[])[];
}

/** Returns a run file of a model with two frames: an unpadded detail frame, and a small overview padded to a square. */
export function twoFramesRun(texts: RunTexts = {}): Buffer {
  const { question = 'What is in the middle?', answer = ['blue', ' disk'], name = 'wide.png' } = texts;
  const { model = 'made-up/two-frames', preprocessing = 'split into tiles, plus the full image padded to a square' } =
    texts;
  const { id = 'two-frames', prompt, promptMaps } = texts;
  const picture = diskPng(sizePx.width, sizePx.height, [40, 90, 170]);
  const patches = detail.rows * detail.cols + overview.rows * overview.cols;
  const map = [...bump(detail, peaks.detail), ...bump(overview, peaks.overview)];
  const token = (index: number, text: string) => ({
    kind: 'token',
    ...{ index, tokenId: index, text, word: index, logProb: -0.1 },
    alternatives: [{ tokenId: index, text, logProb: -0.1 }],
    queryState32: [0, 1],
    ...{ map, mapPrompt: promptMaps?.[index], mapBackend: 'python', mapComputeMs: 2 },
  });
  const rows: Record<string, unknown>[] = [
    { kind: 'image', picture },
    { kind: 'states', states32: Array.from({ length: patches * 2 }, (_, i) => i % 7) },
    ...(prompt ? [promptRow(prompt)] : []),
    ...answer.map((text, index) => token(index, text)),
    { kind: 'end', reason: 'stop', answerMs: 20, firstTokenMs: 10 },
  ];
  const header = {
    formatVersion: 2,
    id,
    createdAt: '2026-11-22T10:00:00Z',
    question,
    image: { mediaType: 'image/png', name, sha256: createHash('sha256').update(picture).digest('hex') },
    geometry: {
      sourceWidthPx: sizePx.width,
      sourceHeightPx: sizePx.height,
      preprocessing,
      frames: [
        {
          name: 'detail',
          crop: { xPx: 0, yPx: 0, widthPx: 900, heightPx: 450 },
          grid: detail,
          modelWidthPx: 336,
          modelHeightPx: 168,
        },
        {
          name: 'overview',
          crop: { xPx: 0, yPx: -225, widthPx: 900, heightPx: 900 },
          grid: overview,
          modelWidthPx: 84,
          modelHeightPx: 84,
        },
      ],
    },
    model: {
      name: model,
      revision: '0123456789ab',
      hiddenSize: 2,
      stage: 'post_norm',
      knows: 'Nothing: this run is made up for a test.',
      family: 'LLaVA-NeXT',
      dtype: 'bfloat16',
    },
    head: {
      name: 'made-up-head',
      revision: 'ba9876543210',
      stage: 'post_norm',
      teacher: 'nobody',
      labellingThreshold: 0.3,
      classificationThreshold: 0.5,
    },
    sampling: { maxNewTokens: 16, temperature: 0.7, topP: 0.9, seed: 7 },
    recorded: true,
  };
  const vectors = Object.entries(columns).map(([name, type]) => [
    name,
    vectorFromArray(
      rows.map((row) => row[name] ?? null),
      type,
    ),
  ]);
  const table = new Table(Object.fromEntries(vectors));
  const schema = new Schema(table.schema.fields, new Map([['patchlight.run', JSON.stringify(header)]]));
  return Buffer.from(tableToIPC(new Table(schema, table.batches), 'stream'));
}

function promptRow(prompt: readonly string[]): Record<string, unknown> {
  const promptTokens = prompt.map((text, tokenId) => ({ tokenId, text }));
  return { kind: 'prompt', promptTokens, states32: prompt.flatMap(() => [1, 0]) };
}
