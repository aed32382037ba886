// Streams that were damaged on their way, for tests: bits flipped, ends cut off, parts moved or repeated. Whatever came,
// reading it ends: with its end, as broken, or with an error that says what is wrong.

import { expect } from 'vitest';
import { createRandom } from '../math/random';

/** Numbers below `limit`, the same in each run. */
export function createDice(seed: number): (limit: number) => number {
  const { unit } = createRandom(seed);
  return (limit) => Math.floor(unit() * limit);
}

type Dice = ReturnType<typeof createDice>;
type Damage = (bytes: Uint8Array, dice: Dice) => Uint8Array;

const joined = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** `other` is a stream of the same kind, or of another. */
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
  'an end cut off': (bytes, dice) => bytes.slice(0, dice(bytes.length)),
  'a part left out': (bytes, dice) => {
    const from = dice(bytes.length);
    return joined(bytes.slice(0, from), bytes.slice(from + 1 + dice(2000)));
  },
  'a part repeated': (bytes, dice) => {
    const from = dice(bytes.length);
    const part = bytes.slice(from, from + 1 + dice(2000));
    return joined(bytes.slice(0, from), part, bytes.slice(from));
  },
  'two streams spliced': (bytes, dice) => joined(bytes.slice(0, dice(bytes.length)), other.slice(dice(other.length))),
  'a part of nothing but noise': (bytes, dice) => {
    const from = dice(bytes.length);
    for (let at = from; at < Math.min(bytes.length, from + 200); at++) bytes[at] = dice(256);
    return bytes;
  },
});

const patienceMs = 2000;

/** Rejects where the work does not end. */
function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`HANGS: ${what}`)), patienceMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** How reading ended: by the last thing read, or by an error. */
export async function outcome(work: Promise<string>, what: string): Promise<string> {
  try {
    return await inTime(work, what);
  } catch (error) {
    if (!(error instanceof Error) || error.message.startsWith('HANGS')) throw error;
    expect(error.message, `${what} says nothing`).not.toBe('');
    return 'error';
  }
}
