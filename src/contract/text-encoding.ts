import { acceptedKinds } from './file-kind';

/** Text, and the encoding that it was read in. */
export interface DecodedText {
  readonly text: string;
  /** True if the file does not say its encoding and is not UTF-8. */
  readonly isAssumed: boolean;
  readonly encoding: 'UTF-8' | 'UTF-16' | 'Windows-1252';
}

/**
 * Decodes text with or without a byte order mark: UTF-8, UTF-16 in both byte orders, else Windows-1252, which spreadsheets
 * in western languages write. Throws if the bytes are not text.
 */
export function decodeText(bytes: Uint8Array): DecodedText {
  if (startsWith(bytes, [0xff, 0xfe, 0, 0]) || startsWith(bytes, [0, 0, 0xfe, 0xff]))
    throw new Error('its text is UTF-32. Save it as UTF-8');
  const utf16 = utf16Of(bytes);
  if (utf16 !== undefined)
    return { text: strictly(utf16.label, bytes), isAssumed: utf16.isAssumed, encoding: 'UTF-16' };
  if (hasControls(bytes))
    throw new Error(
      `it is neither text nor a known kind of table. ${acceptedKinds}. Choose the file that holds the answers`,
    );
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  try {
    // Decoding as part of a longer stream leaves a character that is cut off at the end out of consideration.
    utf8.decode(bytes, { stream: true });
  } catch {
    return { text: windows1252(bytes), isAssumed: true, encoding: 'Windows-1252' };
  }
  return { text: strictly('utf-8', bytes), isAssumed: false, encoding: 'UTF-8' };
}

function strictly(label: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError || bytes.length > 500_000_000)
      throw new Error('it is too large to read as text. Save the table as Parquet', { cause: error });
    throw new Error('its text ends in the middle of a character, or is damaged. Copy or download it again', {
      cause: error,
    });
  }
}

function utf16Of(bytes: Uint8Array): { readonly label: string; readonly isAssumed: boolean } | undefined {
  if (startsWith(bytes, [0xff, 0xfe])) return { label: 'utf-16le', isAssumed: false };
  if (startsWith(bytes, [0xfe, 0xff])) return { label: 'utf-16be', isAssumed: false };
  // A table's header is mostly ASCII, so in UTF-16 every other byte is zero.
  const start = bytes.subarray(0, 64);
  const zeros = (parity: number) => start.filter((byte, i) => i % 2 === parity && byte === 0).length;
  const [even, odd] = [zeros(0), zeros(1)];
  if (even === 0 && odd > start.length / 4) return { label: 'utf-16le', isAssumed: true };
  if (odd === 0 && even > start.length / 4) return { label: 'utf-16be', isAssumed: true };
  return undefined;
}

/** Bytes that no single-byte text has: control characters other than tab, line ends, form feed and Ctrl-Z. */
function hasControls(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 65536).some((byte) => byte < 9 || byte === 11 || (byte > 13 && byte < 26) || byte === 127);
}

const highControls = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** Node before 23 decodes the bytes 0x80 to 0x9f as control characters. */
function windows1252(bytes: Uint8Array): string {
  const text = new TextDecoder('windows-1252').decode(bytes);
  return text.replace(/[\x80-\x9f]/g, (letter) => highControls[letter.charCodeAt(0) - 0x80] ?? letter);
}

const startsWith = (bytes: Uint8Array, start: readonly number[]) => start.every((byte, i) => bytes[i] === byte);
