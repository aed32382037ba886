// Recognises a file by its first bytes, so that a file of another kind is refused with its name and a remedy.

export type TableKind = 'arrow file' | 'arrow stream' | 'parquet' | 'gzip' | 'text';

export const acceptedKinds = 'Accepted are Arrow (or Feather), Parquet, and text with separators such as CSV or TSV';

interface ForeignKind {
  readonly found: string;
  readonly remedy: string;
}

const asTable = 'Load the table from it and save that as CSV, Parquet or Arrow';
const notATable = 'Choose the file that holds the table of answers';
const unpacked = 'Unpack it, and load the table inside';
const [image, archive] = [
  (name: string): ForeignKind => ({ found: `it is an image (${name})`, remedy: notATable }),
  (name: string): ForeignKind => ({ found: `it is compressed with ${name}`, remedy: unpacked }),
];

const encryptedParquet: ForeignKind = {
  found: 'it is an encrypted Parquet file',
  remedy: 'Save the table without encryption',
};

/** First bytes, as Latin-1 text, of files that are often mistaken for tables. */
const foreignKinds: readonly (readonly [start: string, kind: ForeignKind])[] = [
  ['version https://git-lfs', { found: 'it is a Git LFS pointer, not the file itself', remedy: 'Run git lfs pull' }],
  ['FEA1\0', { found: 'it is a Feather file of version 1', remedy: 'Save it as version 2, the default since 2020' }],
  ['\x28\xb5\x2f\xfd', archive('Zstandard')],
  ['BZh9', archive('bzip2')],
  ['\xfd7zXZ\0', archive('xz')],
  ['7z\xbc\xaf', archive('7-Zip')],
  ['Rar!\x1a', archive('RAR')],
  ['\x04\x22\x4d\x18', archive('LZ4')],
  ['\xd0\xcf\x11\xe0', { found: 'it is an old Excel workbook or another Office file', remedy: 'Save it as CSV' }],
  ['\x89PNG', image('PNG')],
  ['\xff\xd8\xff', image('JPEG')],
  ['GIF89a', image('GIF')],
  ['GIF87a', image('GIF')],
  ['%PDF', { found: 'it is a PDF', remedy: notATable }],
  ['\x89HDF', { found: 'it is an HDF5 file', remedy: asTable }],
  ['\x93NUMPY', { found: 'it is a NumPy array', remedy: asTable }],
  ['SQLite format 3', { found: 'it is an SQLite database', remedy: asTable }],
  ['RDX3\n', { found: 'it is an R workspace', remedy: asTable }],
  ['RDX2\n', { found: 'it is an R workspace', remedy: asTable }],
  ['X\n\0\0\0', { found: 'it is an R object (.rds)', remedy: asTable }],
  ['Obj\x01', { found: 'it is an Avro file', remedy: asTable }],
  ['\x80\x02', { found: 'it is a Python pickle', remedy: asTable }],
  ['\x80\x03', { found: 'it is a Python pickle', remedy: asTable }],
  ['\x80\x04', { found: 'it is a Python pickle', remedy: asTable }],
  ['\x80\x05', { found: 'it is a Python pickle', remedy: asTable }],
];

/** Throws an error that names the kind if the bytes are of a known kind that holds no readable table. */
export function kindOf(bytes: Uint8Array): TableKind {
  if (bytes.length === 0) throw new Error('it is empty. Check that it was copied or downloaded completely');
  const starts = startsWith(bytes);
  if (starts('ARROW1')) return 'arrow file';
  // Arrow streams start with the marker of a message.
  if (starts('\xff\xff\xff\xff')) return 'arrow stream';
  if (starts('PAR1')) return 'parquet';
  if (starts('\x1f\x8b')) return 'gzip';
  if (starts('PARE') && startsWith(bytes.subarray(-4))('PARE')) refuse(encryptedParquet);
  const foreign = starts('PK\x03\x04') ? zipKind(bytes) : foreignKinds.find(([start]) => starts(start))?.[1];
  if (foreign) refuse(foreign);
  return 'text';
}

/** Throws if the text is not a table but another kind of document. */
export function checkText(text: string): void {
  const start = text.slice(0, 1000).trimStart();
  if (/^(<!doctype|<html|<\?xml|<svg)/i.test(start))
    refuse({ found: 'it is a web page or XML, perhaps an error page that was saved instead', remedy: notATable });
  if (/^(\{\s*["}]|\[\s*[{["\d])/.test(start))
    refuse({
      found: 'it is JSON',
      remedy: 'Save the table as CSV or Parquet; in Python, pandas.read_json(path, lines=True).to_parquet(new_path)',
    });
}

function refuse({ found, remedy }: ForeignKind): never {
  throw new Error(`${found}. ${acceptedKinds}. ${remedy}`);
}

const startsWith = (bytes: Uint8Array) => (start: string) =>
  [...start].every((letter, i) => bytes[i] === letter.charCodeAt(0));

function zipKind(bytes: Uint8Array): ForeignKind {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 4000));
  if (/xl\/|\[Content_Types\]/.test(head))
    return { found: 'it is an Excel workbook', remedy: 'In Excel, save it as “CSV UTF-8”' };
  if (head.includes('opendocument')) return { found: 'it is an OpenDocument file', remedy: 'Save it as CSV' };
  if (head.includes('.npy')) return { found: 'it is an archive of NumPy arrays (.npz)', remedy: asTable };
  if (/data\.pkl/.test(head)) return { found: 'it is a PyTorch file', remedy: asTable };
  return { found: 'it is a ZIP archive', remedy: unpacked };
}
