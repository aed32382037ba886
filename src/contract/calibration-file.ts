// Reads a calibration file, in a worker. Accepts an Arrow or Parquet file as described in docs/calibration.md, the table
// that `patchlight evaluate` writes (one row per token), or a table with one row per answer, such as a CSV.
//
//   readRawTable -> a table of unknown columns -> readAnswers or evaluationAnswers -> CalibrationTable
import { formatBytes } from '../text/number-format';
import { reasonOf } from '../text/reason-of';
import { checkedEntropies, checkedLogProbs, countsOf, listOfOnes, scoresOf } from './answer-columns';
import { type CalibrationFacts, calibrationKey, parseCalibrationFacts } from './calibration';
import type { CalibrationTable, CategoryColumn, TableEntropy, TextColumn } from './calibration-table';
import { evaluationAnswers, evaluationColumns, isEvaluation } from './evaluation-table';
import type { RawTable } from './raw-table';
import { readRawTable } from './table-file';

/** In display order. */
const entropyColumns: readonly (readonly [TableEntropy, string])[] = [
  ['sum', 'entropySum'],
  ['kde', 'entropyKde'],
  ['bernoulli', 'entropyBernoulli'],
  ['given', 'entropy'],
];
const otherColumns = [
  ...['id', 'set', 'kind', 'variety', 'question', 'answer', 'reference', 'image', 'thumbnail', 'tokens'],
  ...['correct', 'length', 'logProb', 'logProbs', 'isContent'],
];
const maxRows = 20_000_000;
const knownColumns = new Set([...entropyColumns.map(([, name]) => name), ...otherColumns, ...evaluationColumns]);
const numberColumns = new Set([
  ...entropyColumns.map(([, name]) => name),
  ...['correct', 'length', 'logProb', 'logProbs', 'thumbnail'],
]);

/** Rejects if the file is invalid; the error says what was expected and what the file contains. */
export async function readCalibrationFile(name: string, file: ArrayBuffer): Promise<CalibrationTable> {
  let details = formatBytes(file.byteLength);
  try {
    const raw = await readRawTable(file, { knownColumns, numberColumns });
    details = `${raw.format}, ${details}`;
    const run = raw.metadata.get('patchlight.run');
    if (run !== undefined) throw new Error('it is a run file (one answer with its maps); open it as a run instead');
    checkShape(raw);
    return isEvaluation(raw) ? evaluationAnswers(raw) : readAnswers(raw);
  } catch (error) {
    throw new Error(`${name} (${details}) is not a valid calibration file: ${reasonOf(error)}.`);
  }
}

function checkShape({ names, rows }: RawTable): void {
  const twice = names.find((name, i) => knownColumns.has(name) && names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Error(`two of its columns are named ${twice}. Rename or remove the one that does not belong`);
  if (rows > maxRows) throw new Error(`it has ${rows} rows; the limit is ${maxRows}. Load a part of it`);
}

function readAnswers(raw: RawTable): CalibrationTable {
  const has = (name: string) => raw.names.includes(name);
  const present = entropyColumns.filter(([, name]) => has(name));
  if (present.length === 0 || !has('correct')) throw new Error(missingColumns(raw));
  const facts = factsOf(raw);
  if (facts !== undefined && facts.n !== raw.rows)
    throw new Error(`its metadata declares ${facts.n} answers, but it has ${raw.rows} rows`);
  if (raw.rows === 0) throw new Error('it has no rows: export at least one answer');
  const shared = {
    facts,
    rows: raw.rows,
    correct: scoresOf(raw, 'correct'),
    set: orderedAs(facts?.data.sets ?? [], categoriesIn(raw, 'set')),
    kind: categoriesIn(raw, 'kind'),
    variety: categoriesIn(raw, 'variety'),
    id: textsIn(raw, 'id'),
    question: textsIn(raw, 'question'),
    answer: textsIn(raw, 'answer'),
    reference: textsIn(raw, 'reference'),
    image: textsIn(raw, 'image'),
    thumbnail: has('thumbnail')
      ? Int32Array.from(raw.numbers('thumbnail'), (cell) => (cell >= 0 ? cell : -1))
      : new Int32Array(raw.rows).fill(-1),
    tokensAt: has('tokens') && raw.isList('tokens') ? raw.textLists('tokens') : () => [],
  };
  const isPooled = present.every(([, name]) => !raw.isList(name));
  return { ...shared, isPooled, ...(isPooled ? pooledColumns(raw, present) : tokenColumns(raw, present)) };
}

type ValueColumns = Pick<CalibrationTable, 'length' | 'starts' | 'logProbs' | 'isContent' | 'entropies' | 'notes'>;

/** Treats each answer as a single token, because the file has one value per answer. */
function pooledColumns(raw: RawTable, present: typeof entropyColumns): ValueColumns {
  const notes = [...raw.notes];
  const values = (name: string) => listOfOnes(raw.numbers(name));
  const logProb = ['logProb', 'logProbs'].find((name) => raw.names.includes(name));
  const entropies = present.map(([kind, name]) => [kind, checkedEntropies(name, values(name), notes)]);
  return {
    length: raw.names.includes('length') ? countsOf(raw, 'length') : new Float32Array(raw.rows).fill(Number.NaN),
    starts: Uint32Array.from({ length: raw.rows + 1 }, (_, row) => row),
    logProbs: logProb === undefined ? undefined : checkedLogProbs(raw, logProb, values(logProb), notes),
    isContent: undefined,
    entropies: Object.fromEntries(entropies),
    notes,
  };
}

function tokenColumns(raw: RawTable, present: typeof entropyColumns): ValueColumns {
  const notes = [...raw.notes];
  const [, firstName] = present.find(([, name]) => raw.isList(name))!;
  const { starts } = raw.lists(firstName);
  const lists = (name: string, kind: 'number' | 'truth' = 'number') => {
    const column = raw.lists(name, kind);
    const row = column.starts.findIndex((start, i) => start !== starts[i]);
    if (row > 0) {
      const [count, firstCount] = [column.starts, starts].map((of) => of[row]! - of[row - 1]!);
      throw new Error(`${raw.place(row - 1)} has ${firstCount} tokens in ${firstName} but ${count} in ${name}`);
    }
    return column;
  };
  const hasList = (name: string) => raw.names.includes(name) && raw.isList(name);
  const perAnswer = [...present.map(([, name]) => name), 'logProb', 'logProbs', 'isContent'].filter(
    (name) => raw.names.includes(name) && !raw.isList(name),
  );
  if (perAnswer.length > 0)
    notes.push(`Not used, because ${firstName} has one value per token: ${perAnswer.join(', ')}.`);
  const logProb = ['logProbs', 'logProb'].find(hasList);
  const entropies = present
    .filter(([, name]) => hasList(name))
    .map(([kind, name]) => [kind, checkedEntropies(name, lists(name), notes)]);
  return {
    length: Float32Array.from({ length: raw.rows }, (_, row) => starts[row + 1]! - starts[row]!),
    starts,
    logProbs: logProb === undefined ? undefined : checkedLogProbs(raw, logProb, lists(logProb), notes),
    isContent: hasList('isContent')
      ? Uint8Array.from(lists('isContent', 'truth').values, (flag) => (flag > 0 ? 1 : 0))
      : undefined,
    entropies: Object.fromEntries(entropies),
    notes,
  };
}

function factsOf(raw: RawTable): CalibrationFacts | undefined {
  const text = raw.metadata.get(calibrationKey);
  if (text === undefined) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error(`its metadata under ${calibrationKey} is not valid JSON`);
  }
  return parseCalibrationFacts(data);
}

function textsIn(raw: RawTable, name: string): TextColumn {
  return raw.names.includes(name) ? raw.texts(name) : { at: () => undefined };
}

function categoriesIn(raw: RawTable, name: string): CategoryColumn {
  return raw.names.includes(name) ? raw.categories(name) : { names: [''], codes: new Uint16Array(raw.rows) };
}

/** Reorders the categories: those in `order` come first. */
function orderedAs(order: readonly string[], { names, codes }: CategoryColumn): CategoryColumn {
  const ordered = [...order.filter((name) => names.includes(name)), ...names.filter((name) => !order.includes(name))];
  const newCodes = names.map((name) => ordered.indexOf(name));
  return { names: ordered, codes: codes.map((code) => newCodes[code]!) };
}

function missingColumns(raw: RawTable): string {
  const shown = raw.names.slice(0, 12).join(', ') + (raw.names.length > 12 ? ', …' : '');
  const has = raw.names.length === 0 ? 'it has no columns' : `its columns are ${shown}`;
  return `it needs the columns correct and entropy (or entropySum, entropyKde, entropyBernoulli); ${has}`;
}
