import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDice } from './damages.example';
import { decompressLz4Frames } from './lz4-frame';

/** A copy of `length` bytes from `back` (a share of what precedes), after some literals. */
interface Step {
  readonly literals: Uint8Array;
  readonly back: number;
  readonly length: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  literals: fc.uint8Array({ maxLength: 600 }),
  back: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 4, max: 700 }),
});

/** Lengths of 15 and more continue in bytes of 255 and a rest. */
function lengthBytes(length: number): number[] {
  if (length < 15) return [];
  return [...new Array<number>(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255];
}

/** Encodes the steps as one block, appends what they mean to `output`, and ends with literals as the format requires. */
function block(steps: readonly Step[], output: number[], earliest: number): number[] {
  const bytes: number[] = [];
  for (const { literals, back, length } of steps) {
    output.push(...literals);
    const distance = Math.min(65_535, Math.max(1, Math.ceil(back * (output.length - earliest))));
    if (output.length === earliest) continue;
    const [run, match] = [literals.length, length - 4];
    bytes.push((Math.min(run, 15) << 4) | Math.min(match, 15), ...lengthBytes(run), ...literals);
    bytes.push(distance & 255, distance >> 8, ...lengthBytes(match));
    for (let i = 0; i < length; i++) output.push(output[output.length - distance]!);
  }
  output.push(7);
  return [...bytes, 0x10, 7];
}

const word = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 255);

const options = fc.record({
  isIndependent: fc.boolean(),
  hasSize: fc.boolean(),
  hasBlockChecksums: fc.boolean(),
  hasChecksum: fc.boolean(),
});

describe('decompressing LZ4 frames', () => {
  it('follows the literals and matches of every block', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 4 }),
        fc.uint8Array({ maxLength: 40 }),
        options,
        (blocks, stored, { isIndependent, hasSize, hasBlockChecksums, hasChecksum }) => {
          const flags = [hasChecksum, hasSize, hasBlockChecksums, isIndependent].map(
            (has, i) => Number(has) << (i + 2),
          );
          const bytes = [4, 0x22, 0x4d, 0x18, flags.reduce((sum, flag) => sum | flag, 0x40), 0x40];
          bytes.push(...(hasSize ? new Array<number>(8).fill(9) : []), 0);
          const output: number[] = [];
          const addBlock = (content: readonly number[], mark: number) =>
            bytes.push(...word((content.length | mark) >>> 0), ...content, ...(hasBlockChecksums ? word(5) : []));
          for (const steps of blocks) addBlock(block(steps, output, isIndependent ? output.length : 0), 0);
          if (stored.length > 0) addBlock([...stored], 0x80000000);
          output.push(...stored);
          bytes.push(...word(0), ...(hasChecksum ? word(6) : []));
          expect([...decompressLz4Frames(Uint8Array.from([...bytes, ...bytes]))]).toEqual([...output, ...output]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('ends with an error or a result, however the frame is damaged', () => {
    const file = readFileSync(join(import.meta.dirname, 'fixtures/tables/lz4.arrow'));
    const frame = new Uint8Array(file.subarray(file.indexOf(Uint8Array.of(4, 0x22, 0x4d, 0x18))).subarray(0, 5000));
    const dice = createDice(3);
    for (let round = 0; round < 2000; round++) {
      const damaged = frame.slice(0, 1 + dice(frame.length));
      for (let i = dice(4); i >= 0; i--) damaged[dice(damaged.length)] = dice(256);
      try {
        expect(decompressLz4Frames(damaged).length).toBeLessThan(2 ** 31);
      } catch (error) {
        expect(String(error)).toContain('the LZ4 data is damaged');
      }
    }
  });
});
