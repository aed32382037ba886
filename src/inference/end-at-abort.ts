// Filters the events that the page receives after the user stops an answer. The worker notices the abort between two
// tokens, but events that it sent earlier may still be queued, and a busy page may have several.
import type { AnswerEvent } from './embedded-model';

/**
 * After the abort, drops all tokens but lets through the map of the last one; an answer that is cut short ends as
 * `cancelled`.
 */
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
