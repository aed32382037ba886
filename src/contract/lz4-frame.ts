// LZ4 frames, in which Arrow compresses buffers:
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Checksums are not verified.

const magic = 0x184d2204;
const maxBytes = 2 ** 31;

/** Throws if the frame is damaged. `bytes` may hold several frames. */
export function decompressLz4Frames(bytes: Uint8Array): Uint8Array {
  const output = createOutput(bytes.length);
  let at = 0;
  while (at < bytes.length) at = decompressFrame(bytes, at, output);
  return output.bytes();
}

function decompressFrame(bytes: Uint8Array, start: number, output: Output): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (start + 7 > bytes.length || view.getUint32(start, true) !== magic) throw damaged('its frame has no header');
  const flags = bytes[start + 4]!;
  if (flags >> 6 !== 1) throw damaged(`its frame has version ${flags >> 6}, not 1`);
  const has = (bit: number) => ((flags >> bit) & 1) === 1;
  const [hasDictionary, hasContentChecksum, hasContentSize, hasBlockChecksums, isIndependent] = [0, 2, 3, 4, 5].map(
    has,
  );
  if (hasDictionary) throw damaged('it needs a dictionary');
  const frameStart = output.length;
  let at = start + 6 + (hasContentSize ? 8 : 0) + 1;
  for (;;) {
    if (at + 4 > bytes.length) throw damaged('it ends too early');
    const field = view.getUint32(at, true);
    at += 4;
    if (field === 0) return at + (hasContentChecksum ? 4 : 0);
    const end = at + (field & 0x7fffffff);
    if (end > bytes.length) throw damaged('it ends too early');
    const block = bytes.subarray(at, end);
    // The highest bit marks a block that is not compressed.
    if (field >>> 31 === 1) output.append(block);
    else decompressBlock(block, output, isIndependent ? output.length : frameStart);
    at = end + (hasBlockChecksums ? 4 : 0);
  }
}

/** Matches reach back to `earliest` in the output at most. */
function decompressBlock(block: Uint8Array, output: Output, earliest: number): void {
  let at = 0;
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble < 15) return length;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw damaged('a length is cut off');
      length += byte;
      if (byte < 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = lengthFrom(token >> 4);
    if (at + literals > block.length) throw damaged('literals are cut off');
    output.append(block.subarray(at, at + literals));
    at += literals;
    if (at === block.length) return;
    const distance = block[at]! | ((block[at + 1] ?? 0) << 8);
    at += 2;
    if (distance === 0 || output.length - distance < earliest || at > block.length)
      throw damaged('a match points outside the data');
    output.repeat(distance, lengthFrom(token & 15) + 4);
  }
}

type Output = ReturnType<typeof createOutput>;

/** A growing buffer. */
function createOutput(sizeHint: number) {
  let buffer = new Uint8Array(Math.max(64, sizeHint * 4));
  let length = 0;

  function reserve(more: number): void {
    if (length + more <= buffer.length) return;
    if (length + more > maxBytes) throw damaged('it is larger than 2 GB');
    const larger = new Uint8Array(Math.min(maxBytes, Math.max(length + more, buffer.length * 2)));
    larger.set(buffer.subarray(0, length));
    buffer = larger;
  }

  return {
    get length() {
      return length;
    },
    append(part: Uint8Array) {
      reserve(part.length);
      buffer.set(part, length);
      length += part.length;
    },
    /** Copies byte by byte, because a match may overlap the bytes that it writes. */
    repeat(distance: number, count: number) {
      reserve(count);
      for (const end = length + count; length < end; length++) buffer[length] = buffer[length - distance]!;
    },
    bytes: () => buffer.subarray(0, length),
  };
}

const damaged = (reason: string) => new Error(`the LZ4 data is damaged: ${reason}`);
