// Damaged streams for fuzz tests: bits flipped, ends cut off, parts moved or repeated. Reading a damaged stream must
// always finish: at the end of the stream, as broken, or with an error that says what is wrong.

import { expect } from 'vitest';
import { createRandom } from '../math/random';

/** Returns a seeded generator of integers below `limit`. */
export function createDice(seed: number): (limit: number) => number {
  const { unit } = createRandom(seed);
  return (limit) => Math.floor(unit() * limit);
}

type Dice = ReturnType<typeof createDice>;
type Damage = (bytes: Uint8Array, dice: Dice) => Uint8Array;

const joined = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** `other`: the stream to splice in, of the same kind or another. */
export const damagesWith = (other: Uint8Array): Record<string, Damage> => ({
  'one bit': (bytes, dice) => {
    const at = dice(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << dice(8));
    return bytes;
  },
  'several bits of the schema and the first rows': (bytes, dice) => {
    for (let i = 0; i < 4; i++) {
      const at = dice(6000);
      bytes[at] = bytes[at]! ^ (1 << dice(8));
    }
    return bytes;
  },
  'a number made large, or negative': (bytes, dice) => {
    const at = dice(bytes.length / 4 - 1) * 4;
    bytes.set(
      [
        [255, 255, 255, 127],
        [255, 255, 255, 255],
        [0, 0, 0, 128],
        [0, 0, 0, 0],
      ][dice(4)]!,
      at,
    );
    return bytes;
  },
  'the end cut off': (bytes, dice) => bytes.slice(0, dice(bytes.length)),
  'a part removed': (bytes, dice) => {
    const from = dice(bytes.length);
    return joined(bytes.slice(0, from), bytes.slice(from + 1 + dice(2000)));
  },
  'a part repeated': (bytes, dice) => {
    const from = dice(bytes.length);
    const part = bytes.slice(from, from + 1 + dice(2000));
    return joined(bytes.slice(0, from), part, bytes.slice(from));
  },
  'two streams spliced': (bytes, dice) => joined(bytes.slice(0, dice(bytes.length)), other.slice(dice(other.length))),
  'a part replaced by noise': (bytes, dice) => {
    const from = dice(bytes.length);
    for (let at = from; at < Math.min(bytes.length, from + 200); at++) bytes[at] = dice(256);
    return bytes;
  },
});

const timeoutMs = 2000;

/** Rejects if the work does not finish in time. */
function withTimeout<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`HANGS: ${what}`)), timeoutMs);
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}

/** Returns how reading ended: the last item read, or 'error'. */
export async function outcome(work: Promise<string>, what: string): Promise<string> {
  try {
    return await withTimeout(work, what);
  } catch (error) {
    if (!(error instanceof Error) || error.message.startsWith('HANGS')) throw error;
    expect(error.message, `${what}: the error has no message`).not.toBe('');
    return 'error';
  }
}
