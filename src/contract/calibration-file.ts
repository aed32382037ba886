// A calibration out of bytes, in a worker: an Arrow or Parquet file as docs/calibration.md describes it, the table that
// `patchlight evaluate` writes (a row a token), or a CSV of a row an answer.
//
//   readRawTable -> a table of unknown columns -> calibrationOf -> CalibrationTable
import { formatBytes } from '../text/number-format';
import { reasonOf } from '../text/reason-of';
import { type CalibrationFacts, calibrationKey, parseCalibrationFacts } from './calibration';
import type { CalibrationTable, CategoryColumn, TableEntropy, TextColumn } from './calibration-table';
import { evaluationAnswers, evaluationColumns, isEvaluation } from './evaluation-table';
import type { RawTable } from './raw-table';

/** In the order in which they are offered. */
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
const mostRows = 20_000_000;
const wanted = new Set([...entropyColumns.map(([, name]) => name), ...otherColumns, ...evaluationColumns]);

/** Throws a sentence that says what was expected and what was found. */
export async function readCalibrationFile(name: string, file: ArrayBuffer): Promise<CalibrationTable> {
  let format = 'file';
  try {
    const raw = await readRawTable(file);
    format = `${raw.format} file`;
    if (raw.rows > mostRows) throw new Error(`it has ${raw.rows} rows; at most ${mostRows} are read`);
    const run = raw.metadata.get('patchlight.run');
    if (run !== undefined) throw new Error('it is a run, one answer with its maps: open it where runs are opened');
    return isEvaluation(raw) ? evaluationAnswers(raw) : answersOf(raw);
  } catch (error) {
    const reason = reasonOf(error);
    throw new Error(`${name}, a ${format} of ${formatBytes(file.byteLength)}, is no calibration: ${reason}.`);
  }
}

async function readRawTable(file: ArrayBuffer): Promise<RawTable> {
  const bytes = new Uint8Array(file);
  if (bytes.length === 0) throw new Error('it is empty');
  const starts = (text: string) => [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));
  // A file begins by its name, a stream by four bytes of ones.
  if (starts('ARROW1') || bytes.subarray(0, 4).every((byte) => byte === 0xff)) {
    const { readArrowTable } = await import('./arrow-table');
    return readArrowTable(bytes);
  }
  if (starts('PAR1')) {
    const { readParquetTable } = await import('./parquet-table');
    return readParquetTable(file, wanted);
  }
  const text = textOfBytes(bytes);
  if (text === undefined)
    throw new Error('wanted is an Arrow file, a Parquet file, or a CSV as text; its first bytes are those of none');
  const { readCsvTable } = await import('./csv-table');
  return readCsvTable(text);
}

function textOfBytes(bytes: Uint8Array): string | undefined {
  if (bytes.subarray(0, 4096).includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function answersOf(raw: RawTable): CalibrationTable {
  const has = (name: string) => raw.names.includes(name);
  const found = entropyColumns.filter(([, name]) => has(name));
  if (found.length === 0 || !has('correct')) throw new Error(missingColumns(raw));
  const facts = factsOf(raw);
  if (facts !== undefined && facts.n !== raw.rows)
    throw new Error(`it says that it holds ${facts.n} answers, and holds ${raw.rows}`);
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
  const isPooled = found.every(([, name]) => !raw.isList(name));
  return { ...shared, isPooled, ...(isPooled ? pooledColumns(raw, found) : tokenColumns(raw, found)) };
}

type ValueColumns = Pick<CalibrationTable, 'length' | 'starts' | 'logProbs' | 'isContent' | 'entropies'>;

/** One value an answer: as answers of one token. */
function pooledColumns(raw: RawTable, found: typeof entropyColumns): ValueColumns {
  const floats = (name: string) => Float32Array.from(raw.numbers(name));
  const logProb = ['logProb', 'logProbs'].find((name) => raw.names.includes(name));
  return {
    length: raw.names.includes('length') ? floats('length') : new Float32Array(raw.rows).fill(Number.NaN),
    starts: Uint32Array.from({ length: raw.rows + 1 }, (_, row) => row),
    logProbs: logProb === undefined ? undefined : floats(logProb),
    isContent: undefined,
    entropies: Object.fromEntries(found.map(([kind, name]) => [kind, floats(name)])),
  };
}

function tokenColumns(raw: RawTable, found: typeof entropyColumns): ValueColumns {
  const [, firstName] = found[0]!;
  const { starts } = raw.lists(firstName);
  const values = (name: string) => {
    const lists = raw.lists(name);
    const row = lists.starts.findIndex((start, i) => start !== starts[i]);
    if (row > 0) {
      const [here, there] = [lists.starts, starts].map((of) => of[row]! - of[row - 1]!);
      throw new Error(`row ${row - 1} has ${there} tokens in ${firstName} and ${here} in ${name}`);
    }
    return lists.values;
  };
  const listed = (name: string) => raw.names.includes(name) && raw.isList(name);
  return {
    length: Float32Array.from({ length: raw.rows }, (_, row) => starts[row + 1]! - starts[row]!),
    starts,
    logProbs: listed('logProbs') ? values('logProbs') : undefined,
    isContent: listed('isContent') ? Uint8Array.from(values('isContent'), (yes) => (yes > 0 ? 1 : 0)) : undefined,
    entropies: Object.fromEntries(found.filter(([, name]) => listed(name)).map(([kind, name]) => [kind, values(name)])),
  };
}

function factsOf(raw: RawTable): CalibrationFacts | undefined {
  const text = raw.metadata.get(calibrationKey);
  if (text === undefined) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error(`what it says of itself under ${calibrationKey} is not JSON`);
  }
  return parseCalibrationFacts(data);
}

function scoresOf(correct: Float64Array): Float32Array {
  const row = correct.findIndex((score) => score < 0 || score > 1);
  if (row >= 0) throw new Error(`its column correct holds ${correct[row]} in row ${row}; wanted is 0 to 1`);
  return Float32Array.from(correct);
}

function textsIn(raw: RawTable, name: string): TextColumn {
  return raw.names.includes(name) ? raw.texts(name) : { at: () => undefined };
}

function categoriesIn(raw: RawTable, name: string): CategoryColumn {
  return raw.names.includes(name) ? raw.categories(name) : { names: [''], codes: new Uint16Array(raw.rows) };
}

/** The same categories, those of `order` first. */
function orderedAs(order: readonly string[], { names, codes }: CategoryColumn): CategoryColumn {
  const ordered = [...order.filter((name) => names.includes(name)), ...names.filter((name) => !order.includes(name))];
  const moved = names.map((name) => ordered.indexOf(name));
  return { names: ordered, codes: codes.map((code) => moved[code]!) };
}

function missingColumns(raw: RawTable): string {
  const shown = raw.names.slice(0, 12).join(', ') + (raw.names.length > 12 ? ', …' : '');
  const has = raw.names.length === 0 ? 'it has no columns' : `its columns are ${shown}`;
  return `wanted are the columns correct and entropy (or entropySum, entropyKde, entropyBernoulli); ${has}`;
}
