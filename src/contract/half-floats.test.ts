import { Float16Array } from '@petamoriken/float16';
import { expect, it } from 'vitest';
import { widenHalfs } from './half-floats';

it('widens every one of the 65536 patterns as a Float16Array reads it', () => {
  const bits = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
  expect(widenHalfs(bits)).toEqual(Float32Array.from(new Float16Array(bits.buffer)));
});
