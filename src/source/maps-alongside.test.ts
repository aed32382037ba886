import { expect, it } from 'vitest';
import type { RunRow } from '../contract/run-rows';
import { mapsAlongside } from './maps-alongside';

async function endOf(row: RunRow, signal: AbortSignal) {
  async function* rows() {
    yield row;
  }
  const options = { openMaps: () => undefined, signal, askedAt: 0 };
  for await (const event of mapsAlongside(rows(), options)) if (event.type === 'end') return event.end;
  throw new Error('expected an end event');
}

it('distinguishes a companion that shuts down from an answer cancelled by the page', async () => {
  const row: RunRow = { kind: 'end', end: { reason: 'cancelled', answerMs: 1, firstTokenMs: 1 } };
  const closing = await endOf(row, new AbortController().signal);
  expect(closing).toMatchObject({ reason: 'truncated', message: 'the companion ended the answer' });
  expect((await endOf(row, AbortSignal.abort())).reason).toBe('cancelled');
});
