// Cells of Arrow columns as plain values: numbers, booleans, text, dates, or arrays of these.
import { DataType, type Decimal, Vector } from 'apache-arrow';

const utf8 = new TextDecoder();

/** Returns a function that converts the cells of a column of this type. */
export function cellReaderOf(type: DataType): (cell: unknown) => unknown {
  if (DataType.isDictionary(type)) return cellReaderOf(type.dictionary);
  if (isListType(type)) {
    const read = cellReaderOf(itemType(type));
    return (cell) => (cell instanceof Vector ? Array.from(cell, read) : cell);
  }
  if (DataType.isDecimal(type)) return (cell) => (cell instanceof Uint32Array ? decimalText(cell, type) : cell);
  if (isBytes(type)) return (cell) => (cell instanceof Uint8Array ? utf8.decode(cell) : cell);
  if (DataType.isDate(type) || DataType.isTimestamp(type))
    return (cell) => (typeof cell === 'number' ? new Date(cell) : cell);
  return (cell) => cell;
}

export function isListType(type: DataType): boolean {
  return DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type);
}

/** Throws if cells of this type cannot be numbers, although they may be stored as numbers. */
export function ensureNumeric(type: DataType, name: string): void {
  const inner = isListType(type) ? itemType(type) : type;
  const stored = DataType.isDictionary(inner) ? inner.dictionary : inner;
  const isNumeric =
    DataType.isNull(stored) ||
    DataType.isInt(stored) ||
    DataType.isFloat(stored) ||
    DataType.isDecimal(stored) ||
    DataType.isBool(stored) ||
    DataType.isUtf8(stored) ||
    DataType.isLargeUtf8(stored) ||
    DataType.isUtf8View(stored) ||
    isBytes(stored);
  if (!isNumeric) throw new Error(`column ${name} must hold numbers, but it has the type ${type}`);
}

/** Bytes count as text, as some programs store it. */
function isBytes(type: DataType): boolean {
  return DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type);
}

function itemType(type: DataType): DataType {
  return type.children[0]!.type;
}

/** In exponent notation, which `Number` rounds correctly: "1250e-3". Words are two's complement, the lowest first. */
function decimalText(words: Uint32Array, { scale }: Decimal): string {
  let value = 0n;
  for (let i = words.length - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[i]!);
  const signed = BigInt.asIntN(words.length * 32, value);
  return scale === 0 ? String(signed) : `${signed}e${-scale}`;
}
