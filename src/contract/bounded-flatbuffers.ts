// apache-arrow believes every length that its metadata states: with one bit turned over, a vector of five fields has two
// thousand million, and reading them ends with the page's memory. The lengths are read in one place, which is told here
// what each byte buffer can hold at most. run-fuzz.test.ts fails where this no longer takes hold.
import { ByteBuffer } from 'flatbuffers';

const readLength = ByteBuffer.prototype.__vector_len;

ByteBuffer.prototype.__vector_len = function (offset) {
  const length = readLength.call(this, offset);
  // An element takes a byte at least.
  if (length < 0 || length > this.capacity()) {
    throw new RangeError(`a list of ${length} in metadata of ${this.capacity()} bytes`);
  }
  return length;
};
