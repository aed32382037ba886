// Filters the events the page receives after Stop. The worker notices the abort between two tokens, but events it sent
// before may still be queued: several, on a busy page.
import type { AnswerEvent } from './embedded-model';

/** After the abort, drops all tokens but passes the map of the last one; a cut answer ends as `cancelled`. */
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
