import { expect, it } from 'vitest';
import type { RunEvent } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import { createRunRecord } from './run-record';

const rows = (count: number) => ({ values: new Uint16Array(4 * count), rows: count, cols: 4 });
const token = (index: number, isKept = true): RunEvent => ({
  type: 'token',
  token: { index, tokenId: index, text: '', word: index, logProb: 0, alternatives: [] },
  ...(isKept && { states: { query: rows(1) } }),
});
const statesAfter = (events: readonly RunEvent[]) => {
  const record = createRunRecord(exampleHeader, [], (notify) => notify());
  for (const event of events) record.append(event);
  return record.snapshot().states;
};

it('holds the states of the patches and of each token', () => {
  const patches = rows(6);
  const states = statesAfter([{ type: 'patch-states', states: patches }, token(0), token(1)]);
  expect(states?.patches).toBe(patches);
  expect(states?.tokens).toHaveLength(2);
});

it('holds no states if those of the patches or of a token are missing', () => {
  expect(statesAfter([token(0), token(1)])).toBeUndefined();
  expect(statesAfter([{ type: 'patch-states', states: rows(6) }, token(0), token(1, false)])).toBeUndefined();
});
