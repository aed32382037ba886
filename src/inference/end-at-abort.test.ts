import { expect, test } from 'vitest';
import type { AnswerEvent } from './embedded-model';
import { endAtAbort } from './end-at-abort';

const token = (index: number): AnswerEvent => ({
  type: 'token',
  token: { index, tokenId: index, text: `${index}`, word: index, logProb: 0, alternatives: [] },
});
const map = (tokenIndex: number): AnswerEvent => ({
  type: 'map',
  map: { method: 'fastrm', tokenIndex, values: new Float32Array(1), backend: 'wasm', computeMs: 0 },
});
const end = (reason: 'stop' | 'cancelled'): AnswerEvent => ({
  type: 'end',
  end: { reason, answerMs: 1, firstTokenMs: 1 },
});

/** Aborts once the token `stopAt` has been read, with all events already queued. */
async function read(sent: readonly AnswerEvent[], stopAt: number): Promise<AnswerEvent[]> {
  const controller = new AbortController();
  const events: AnswerEvent[] = [];
  const waiting = (async function* () {
    yield* sent;
  })();
  for await (const event of endAtAbort(waiting, controller.signal)) {
    events.push(event);
    if (event.type === 'token' && event.token.index === stopAt) controller.abort();
  }
  return events;
}

test('passes all events of an answer that is not stopped', async () => {
  const sent = [token(0), map(0), token(1), map(1), end('stop')];
  expect(await read(sent, -1)).toEqual(sent);
});

test('after a stop, passes the last token’s map and a cancelled end, but no more tokens', async () => {
  const sent = [token(0), map(0), token(1), map(1), token(2), map(2), end('stop')];
  expect(await read(sent, 1)).toEqual([token(0), map(0), token(1), map(1), end('cancelled')]);
});

test('a stop at the last token leaves the answer complete', async () => {
  const sent = [token(0), map(0), end('stop')];
  expect(await read(sent, 0)).toEqual(sent);
});
