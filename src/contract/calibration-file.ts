// Reads a calibration file, in a worker. Accepts an Arrow or Parquet file as described in docs/calibration.md, the table
// that `patchlight evaluate` writes (one row per token), or a CSV with one row per answer.
//
//   readRawTable -> a table of unknown columns -> readAnswers or evaluationAnswers -> CalibrationTable
import { formatBytes } from '../text/number-format';
import { reasonOf } from '../text/reason-of';
import { type CalibrationFacts, calibrationKey, parseCalibrationFacts } from './calibration';
import type { CalibrationTable, CategoryColumn, TableEntropy, TextColumn } from './calibration-table';
import { evaluationAnswers, evaluationColumns, isEvaluation } from './evaluation-table';
import type { RawTable } from './raw-table';

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

/** Rejects if the file is invalid; the error says what was expected and what the file contains. */
export async function readCalibrationFile(name: string, file: ArrayBuffer): Promise<CalibrationTable> {
  let details = formatBytes(file.byteLength);
  try {
    const raw = await readRawTable(file);
    details = `${raw.format}, ${details}`;
    if (raw.rows > maxRows) throw new Error(`it has ${raw.rows} rows; the limit is ${maxRows}`);
    const run = raw.metadata.get('patchlight.run');
    if (run !== undefined) throw new Error('it is a run file (one answer with its maps); open it as a run instead');
    return isEvaluation(raw) ? evaluationAnswers(raw) : readAnswers(raw);
  } catch (error) {
    throw new Error(`${name} (${details}) is not a valid calibration file: ${reasonOf(error)}.`);
  }
}

async function readRawTable(file: ArrayBuffer): Promise<RawTable> {
  const bytes = new Uint8Array(file);
  if (bytes.length === 0) throw new Error('it is empty');
  const starts = (text: string) => [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));
  // An Arrow file starts with the magic bytes `ARROW1`; an Arrow stream starts with four 0xff bytes.
  if (starts('ARROW1') || bytes.subarray(0, 4).every((byte) => byte === 0xff)) {
    const { readArrowTable } = await import('./arrow-table');
    return readArrowTable(bytes);
  }
  if (starts('PAR1')) {
    const { readParquetTable } = await import('./parquet-table');
    return readParquetTable(file, knownColumns);
  }
  const text = decodeText(bytes);
  if (text === undefined)
    throw new Error('expected an Arrow file, a Parquet file or CSV text, but its first bytes match none of them');
  const { readCsvTable } = await import('./csv-table');
  return readCsvTable(text);
}

function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.subarray(0, 4096).includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function readAnswers(raw: RawTable): CalibrationTable {
  const has = (name: string) => raw.names.includes(name);
  const present = entropyColumns.filter(([, name]) => has(name));
  if (present.length === 0 || !has('correct')) throw new Error(missingColumns(raw));
  const facts = factsOf(raw);
  if (facts !== undefined && facts.n !== raw.rows)
    throw new Error(`its metadata declares ${facts.n} answers, but it has ${raw.rows} rows`);
  const correct = scoresOf(raw.numbers('correct'));
  const shared = {
    facts,
    rows: raw.rows,
    correct,
    set: orderedAs(facts?.data.sets ?? [], categoriesIn(raw, 'set')),
    kind: categoriesIn(raw, 'kind'),
    variety: categoriesIn(raw, 'variety'),
    id: textsIn(raw, 'id'),
    question: textsIn(raw, 'question'),
    answer: textsIn(raw, 'answer'),
    reference: textsIn(raw, 'reference'),
    image: textsIn(raw, 'image'),
    thumbnail: has('thumbnail')
      ? Int32Array.from(raw.numbers('thumbnail'), (cell) => (Number.isNaN(cell) ? -1 : cell))
      : new Int32Array(raw.rows).fill(-1),
    tokensAt: has('tokens') && raw.isList('tokens') ? raw.textLists('tokens') : () => [],
  };
  const isPooled = present.every(([, name]) => !raw.isList(name));
  return { ...shared, isPooled, ...(isPooled ? pooledColumns(raw, present) : tokenColumns(raw, present)) };
}

type ValueColumns = Pick<CalibrationTable, 'length' | 'starts' | 'logProbs' | 'isContent' | 'entropies'>;

/** Treats each answer as a single token, because the file has one value per answer. */
function pooledColumns(raw: RawTable, present: typeof entropyColumns): ValueColumns {
  const floats = (name: string) => Float32Array.from(raw.numbers(name));
  const logProb = ['logProb', 'logProbs'].find((name) => raw.names.includes(name));
  return {
    length: raw.names.includes('length') ? floats('length') : new Float32Array(raw.rows).fill(Number.NaN),
    starts: Uint32Array.from({ length: raw.rows + 1 }, (_, row) => row),
    logProbs: logProb === undefined ? undefined : floats(logProb),
    isContent: undefined,
    entropies: Object.fromEntries(present.map(([kind, name]) => [kind, floats(name)])),
  };
}

function tokenColumns(raw: RawTable, present: typeof entropyColumns): ValueColumns {
  const [, firstName] = present[0]!;
  const { starts } = raw.lists(firstName);
  const values = (name: string) => {
    const lists = raw.lists(name);
    const row = lists.starts.findIndex((start, i) => start !== starts[i]);
    if (row > 0) {
      const [count, firstCount] = [lists.starts, starts].map((of) => of[row]! - of[row - 1]!);
      throw new Error(`row ${row - 1} has ${firstCount} tokens in ${firstName} but ${count} in ${name}`);
    }
    return lists.values;
  };
  const hasList = (name: string) => raw.names.includes(name) && raw.isList(name);
  return {
    length: Float32Array.from({ length: raw.rows }, (_, row) => starts[row + 1]! - starts[row]!),
    starts,
    logProbs: hasList('logProbs') ? values('logProbs') : undefined,
    isContent: hasList('isContent') ? Uint8Array.from(values('isContent'), (flag) => (flag > 0 ? 1 : 0)) : undefined,
    entropies: Object.fromEntries(
      present.filter(([, name]) => hasList(name)).map(([kind, name]) => [kind, values(name)]),
    ),
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

function scoresOf(correct: Float64Array): Float32Array {
  const row = correct.findIndex((score) => score < 0 || score > 1);
  if (row >= 0) throw new Error(`column correct must hold values from 0 to 1, but row ${row} has ${correct[row]}`);
  return Float32Array.from(correct);
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
