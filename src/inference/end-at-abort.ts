// Filters the events that the page receives after the user stops an answer. The worker notices the abort between two
// tokens, but events that it sent earlier may still be queued; on a busy page, there may be several of them.
import type { AnswerEvent } from './embedded-model';

/**
 * After the abort, drops further tokens but still yields the map of the last yielded token; if tokens were dropped, the
 * answer ends as `cancelled`.
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
