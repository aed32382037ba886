// The table that `patchlight evaluate` writes, a row a sample and token (companion/src/patchlight/evaluation/table.py),
// as answers.
import * as z from 'zod/mini';
import { contentTokens } from '../math/statistics/content-tokens';
import { type CalibrationFacts, parseCalibrationFacts, supportedCalibration } from './calibration';
import type { CalibrationTable, TextColumn } from './calibration-table';
import { categoriesOf, type RawTable } from './raw-table';

const entropyColumns = { sum: 'entropySumNats', kde: 'entropyKdeNats', bernoulli: 'entropyBernoulliNats' } as const;
const needed = ['sample', 'token', 'score', 'text', 'word', 'logProb', ...Object.values(entropyColumns)];

export const evaluationColumns: readonly string[] = [
  ...needed,
  ...['data', 'image', 'imagePath', 'question', 'answer', 'patches', 'rightAnswers'],
];

export function isEvaluation({ names }: RawTable): boolean {
  return ['sample', 'token', entropyColumns.sum].every((name) => names.includes(name));
}

/** Throws with the columns that it lacks. */
export function evaluationAnswers(raw: RawTable): CalibrationTable {
  const lacking = needed.filter((name) => !raw.names.includes(name));
  if (lacking.length > 0) throw new Error(`as an evaluation's table it lacks the columns ${lacking.join(', ')}`);
  const token = raw.numbers('token');
  // An answer begins at its token 0; one of no tokens is a row whose token is missing.
  const firstRows = Uint32Array.from(Array.from(token.keys()).filter((row) => !(token[row]! > 0)));
  const rows = firstRows.length;
  const spoken = Uint32Array.from(Array.from(token.keys()).filter((row) => token[row]! >= 0));
  const starts = new Uint32Array(rows + 1);
  for (let row = 0; row < rows; row++) {
    const end = row + 1 < rows ? firstRows[row + 1]! : raw.rows;
    starts[row + 1] = starts[row]! + (Number.isNaN(token[firstRows[row]!]!) ? 0 : end - firstRows[row]!);
  }
  const ofTokens = (name: string) => {
    const values = raw.numbers(name);
    return Float32Array.from(spoken, (row) => values[row]!);
  };
  const ofAnswers = (name: string): TextColumn => {
    if (!raw.names.includes(name)) return { at: () => undefined };
    const column = raw.texts(name);
    return { at: (row) => column.at(firstRows[row]!) };
  };
  const texts = raw.texts('text');
  const tokensAt = (row: number) =>
    Array.from(spoken.subarray(starts[row]!, starts[row + 1]!), (place) => texts.at(place) ?? '');
  const score = raw.numbers('score');
  const references = raw.names.includes('rightAnswers') ? raw.textLists('rightAnswers') : () => [];
  const none = { names: [''], codes: new Uint16Array(rows) };
  return {
    facts: factsOf(raw, rows),
    rows,
    isPooled: false,
    correct: Float32Array.from(firstRows, (row) => score[row]!),
    length: Float32Array.from({ length: rows }, (_, row) => starts[row + 1]! - starts[row]!),
    starts,
    logProbs: ofTokens('logProb'),
    isContent: contentOf(ofTokens('word'), starts, tokensAt),
    entropies: Object.fromEntries(Object.entries(entropyColumns).map(([kind, name]) => [kind, ofTokens(name)])),
    set: categoriesOf(rows, ofAnswers('data').at, 'data'),
    kind: none,
    variety: none,
    id: ofAnswers('sample'),
    question: ofAnswers('question'),
    answer: ofAnswers('answer'),
    reference: { at: (row) => references(firstRows[row]!)[0] },
    image: ofAnswers(raw.names.includes('imagePath') ? 'imagePath' : 'image'),
    thumbnail: new Int32Array(rows).fill(-1),
    tokensAt,
  };
}

function contentOf(words: Float32Array, starts: Uint32Array, tokensAt: (row: number) => string[]): Uint8Array {
  const isContent = new Uint8Array(words.length);
  for (let row = 0; row + 1 < starts.length; row++) {
    const spoken = tokensAt(row).map((text, i) => ({ text, word: words[starts[row]! + i]! }));
    contentTokens(spoken).forEach((carries, i) => {
      isContent[starts[row]! + i] = carries ? 1 : 0;
    });
  }
  return isContent;
}

const named = z.object({ name: z.string(), revision: z.string() });
const evaluation = z.object({
  model: z.string(),
  modelRevision: z.string(),
  head: named,
  data: z.string(),
  seed: z.nullish(z.int()),
});

/** What the evaluation says of itself, as a calibration says it; undefined where it says nothing. */
function factsOf(raw: RawTable, n: number): CalibrationFacts | undefined {
  const text = raw.metadata.get('patchlight.evaluation');
  if (text === undefined) return undefined;
  const read = evaluation.safeParse(JSON.parse(text));
  if (!read.success) throw new Error(`what it says of itself cannot be read: ${z.prettifyError(read.error)}`);
  const { model, modelRevision, head, data, seed } = read.data;
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
