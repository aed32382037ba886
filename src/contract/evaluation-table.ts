// Reads the table that `patchlight evaluate` writes (companion/src/patchlight/evaluation/table.py), which has one row
// per token of each sample, and groups the rows into answers.
import * as z from 'zod/mini';
import { contentTokens } from '../math/statistics/content-tokens';
import { checkedEntropies, checkedLogProbs, listOfOnes, scoresOf } from './answer-columns';
import { type CalibrationFacts, parseCalibrationFacts, supportedCalibration } from './calibration';
import type { CalibrationTable, TextColumn } from './calibration-table';
import { categoriesOf, type RawTable } from './raw-table';

const entropyColumns = { sum: 'entropySumNats', kde: 'entropyKdeNats', bernoulli: 'entropyBernoulliNats' } as const;
const requiredColumns = ['sample', 'token', 'score', 'text', 'word', 'logProb', ...Object.values(entropyColumns)];

export const evaluationColumns: readonly string[] = [
  ...requiredColumns,
  ...['data', 'image', 'imagePath', 'question', 'answer', 'patches', 'rightAnswers'],
];

export function isEvaluation({ names }: RawTable): boolean {
  return ['sample', 'token', entropyColumns.sum].every((name) => names.includes(name));
}

/** Throws an error that names the missing required columns, if any. */
export function evaluationAnswers(raw: RawTable): CalibrationTable {
  const missing = requiredColumns.filter((name) => !raw.names.includes(name));
  if (missing.length > 0)
    throw new Error(`it looks like an evaluation table, but is missing columns: ${missing.join(', ')}`);
  if (raw.rows === 0) throw new Error('it has no rows: evaluate at least one answer');
  const token = raw.numbers('token');
  checkOrder(raw, token);
  // Each answer starts at token 0; an answer without tokens is a single row whose token is missing.
  const firstRows = Uint32Array.from(Array.from(token.keys()).filter((row) => !(token[row]! > 0)));
  const rows = firstRows.length;
  const tokenRows = Uint32Array.from(Array.from(token.keys()).filter((row) => token[row]! >= 0));
  const starts = new Uint32Array(rows + 1);
  for (let row = 0; row < rows; row++) {
    const end = row + 1 < rows ? firstRows[row + 1]! : raw.rows;
    starts[row + 1] = starts[row]! + (Number.isNaN(token[firstRows[row]!]!) ? 0 : end - firstRows[row]!);
  }
  const notes = [...raw.notes];
  const ofTokens = (values: Float32Array) => Float32Array.from(tokenRows, (row) => values[row]!);
  const columnOf = (name: string) => listOfOnes(raw.numbers(name));
  const entropies = Object.entries(entropyColumns).map(([kind, name]) => [
    kind,
    ofTokens(checkedEntropies(name, columnOf(name), notes)),
  ]);
  const answerTexts = (name: string): TextColumn => {
    if (!raw.names.includes(name)) return { at: () => undefined };
    const column = raw.texts(name);
    return { at: (row) => column.at(firstRows[row]!) };
  };
  const texts = raw.texts('text');
  const tokensAt = (row: number) =>
    Array.from(tokenRows.subarray(starts[row]!, starts[row + 1]!), (tokenRow) => texts.at(tokenRow) ?? '');
  const score = scoresOf(raw, 'score');
  const references = raw.names.includes('rightAnswers') ? raw.textLists('rightAnswers') : () => [];
  const none = { names: [''], codes: new Uint16Array(rows) };
  return {
    facts: factsOf(raw, rows),
    rows,
    isPooled: false,
    correct: Float32Array.from(firstRows, (row) => score[row]!),
    length: Float32Array.from({ length: rows }, (_, row) => starts[row + 1]! - starts[row]!),
    starts,
    logProbs: ofTokens(checkedLogProbs(raw, 'logProb', columnOf('logProb'), notes)),
    isContent: contentOf(ofTokens(columnOf('word').values), starts, tokensAt),
    entropies: Object.fromEntries(entropies),
    notes,
    set: categoriesOf(rows, answerTexts('data').at, 'data'),
    kind: none,
    variety: none,
    id: answerTexts('sample'),
    question: answerTexts('question'),
    answer: answerTexts('answer'),
    reference: { at: (row) => references(firstRows[row]!)[0] },
    image: answerTexts(raw.names.includes('imagePath') ? 'imagePath' : 'image'),
    thumbnail: new Int32Array(rows).fill(-1),
    tokensAt,
  };
}

/** The tokens of an answer are consecutive rows, from token 0; sorting the table by another column would mix answers. */
function checkOrder(raw: RawTable, token: Float64Array): void {
  const sample = raw.texts('sample');
  const row = token.findIndex(
    (index, i) => index > 0 && !(i > 0 && token[i - 1] === index - 1 && sample.at(i - 1) === sample.at(i)),
  );
  if (row >= 0)
    throw new Error(
      `${raw.place(row)} has token ${token[row]} of sample ${sample.at(row)}, but the row before it does not have token ${token[row]! - 1}. Sort the table as patchlight evaluate wrote it`,
    );
}

function contentOf(words: Float32Array, starts: Uint32Array, tokensAt: (row: number) => string[]): Uint8Array {
  const isContent = new Uint8Array(words.length);
  for (let row = 0; row + 1 < starts.length; row++) {
    const tokens = tokensAt(row).map((text, i) => ({ text, word: words[starts[row]! + i]! }));
    contentTokens(tokens).forEach((isContentToken, i) => {
      isContent[starts[row]! + i] = isContentToken ? 1 : 0;
    });
  }
  return isContent;
}

const headShape = z.object({ name: z.string(), revision: z.string() });
const evaluation = z.object({
  model: z.string(),
  modelRevision: z.string(),
  head: headShape,
  data: z.string(),
  seed: z.nullish(z.int()),
});

/** Converts the evaluation's metadata to calibration facts; undefined if there is no metadata. */
function factsOf(raw: RawTable, n: number): CalibrationFacts | undefined {
  const text = raw.metadata.get('patchlight.evaluation');
  if (text === undefined) return undefined;
  const result = evaluation.safeParse(JSON.parse(text));
  if (!result.success) throw new Error(`its metadata is invalid: ${z.prettifyError(result.error)}`);
  const { model, modelRevision, head, data, seed } = result.data;
  const patches = raw.names.includes('patches') ? new Set(raw.numbers('patches')) : new Set<number>();
  return parseCalibrationFacts({
    formatVersion: supportedCalibration,
    model: { name: model, revision: modelRevision },
    head: { name: head.name, revision: head.revision },
    data: { name: data, sets: [data] },
    n,
    createdAt: '',
    command: 'patchlight evaluate',
    patches: patches.size === 1 ? [...patches][0] : null,
    seed: seed ?? 0,
    licence: '',
    sprites: null,
  });
}
