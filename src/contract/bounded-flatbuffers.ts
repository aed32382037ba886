// apache-arrow trusts every length in its metadata: one flipped bit turns a vector of five fields into two billion, and
// reading it exhausts the page's memory. All lengths pass through one function, patched here to reject any that exceed
// the buffer. run-fuzz.test.ts fails if the patch stops working.
import { ByteBuffer } from 'flatbuffers';

const readLength = ByteBuffer.prototype.__vector_len;

ByteBuffer.prototype.__vector_len = function (offset) {
  const length = readLength.call(this, offset);
  // Every element takes at least one byte.
  if (length < 0 || length > this.capacity()) {
    throw new RangeError(`the metadata claims a list of ${length} elements, but has only ${this.capacity()} bytes`);
  }
  return length;
};
