// What the page sees after Stop. The worker hears of it between two tokens, but events that it had sent before may
// still wait to be read: on a busy page there may be several.
import type { AnswerEvent } from './embedded-model';

/** From the abort on no token passes, only the map of the last one that did; a cut answer's end is `cancelled`. */
export async function* endAtAbort(
  events: AsyncIterable<AnswerEvent>,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent> {
  let lastToken = -1;
  let isCut = false;
  for await (const event of events) {
    switch (event.type) {
      case 'token':
        isCut ||= signal.aborted;
        if (isCut) continue;
        lastToken = event.token.index;
        break;
      case 'map':
        if (event.map.tokenIndex > lastToken) continue;
        break;
      case 'end':
        if (!isCut) break;
        yield { type: 'end', end: { ...event.end, reason: 'cancelled' } };
        continue;
    }
    yield event;
  }
}
