import { Float16Array } from '@petamoriken/float16';
import { expect, it } from 'vitest';
import { widenHalfs } from './half-floats';

it('converts all 65536 bit patterns as Float16Array does', () => {
  const bits = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
  expect(widenHalfs(bits)).toEqual(Float32Array.from(new Float16Array(bits.buffer)));
});
