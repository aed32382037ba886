// Turns a live answer's rows into events and computes its maps alongside: patch states open the image in the head; each
// token is yielded immediately and its query state is queued. Query states that queue up while the head is busy are
// sent as one batch, because two tokens cost little more than one.

import { widenHalfs } from '../contract/half-floats';
import type { RunEnd, RunEvent } from '../contract/run';
import type { RunRow, StateRows } from '../contract/run-rows';
import type { HeadImage, HeadMaps } from '../inference/head-client';
import { reasonOf } from '../text/reason-of';

export interface AlongsideOptions {
  /** Undefined if no maps can be computed. */
  readonly openImage: ((patchStates: StateRows) => HeadImage) | undefined;
  /** Once aborted, no further token is yielded; maps of earlier tokens still are. */
  readonly signal: AbortSignal;
  /** `performance.now()` when the question was asked. */
  readonly askedAt: number;
  onMaps(maps: HeadMaps): void;
}

interface Waiting {
  readonly tokenIndex: number;
  readonly queryState: StateRows;
}

type Arrival =
  | { readonly kind: 'row'; readonly row: RunRow | undefined }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'maps'; readonly of: readonly Waiting[]; readonly maps: HeadMaps }
  | { readonly kind: 'no-maps'; readonly of: readonly Waiting[]; readonly reason: string };

/** Yields the prompt, tokens, maps and one `end`; never throws. The caller handles the rows that precede the states. */
export async function* mapsAlongside(
  rows: AsyncIterator<RunRow>,
  { openImage, signal, askedAt, onMaps }: AlongsideOptions,
): AsyncGenerator<Exclude<RunEvent, { type: 'begin' | 'queued' }>> {
  let waiting: Waiting[] = [];
  let image: HeadImage | undefined;
  let batch: Promise<Arrival> | undefined;
  let next: Promise<Arrival> | undefined;
  let end: RunEnd | undefined;
  let mapFailure: string | undefined;
  let tokens = 0;
  let firstTokenMs = 0;
  const endHere = (reason: RunEnd['reason'], message?: string): RunEnd => ({
    reason,
    answerMs: performance.now() - askedAt,
    firstTokenMs,
    ...(message !== undefined && { message }),
  });

  for (;;) {
    if (end === undefined) next ??= nextRow(rows);
    // List the maps first: rows that have already arrived would otherwise always win the race.
    const arrival = await Promise.race(
      [batch, end === undefined ? next : undefined].filter((one) => one !== undefined),
    );
    switch (arrival.kind) {
      case 'maps': {
        batch = undefined;
        onMaps(arrival.maps);
        const { values, computeMs, backend } = arrival.maps;
        const patches = values.length / arrival.of.length;
        for (const [i, { tokenIndex }] of arrival.of.entries()) {
          const mapValues = values.slice(i * patches, (i + 1) * patches);
          const map = { tokenIndex, values: mapValues, backend, computeMs: computeMs / arrival.of.length };
          yield { type: 'map', map: { method: 'fastrm', ...map } };
        }
        break;
      }
      case 'no-maps':
        batch = undefined;
        image = undefined;
        waiting = [];
        mapFailure = `No maps from token ${(arrival.of[0]?.tokenIndex ?? 0) + 1} on: ${arrival.reason}`;
        break;
      case 'failed':
        end = signal.aborted ? endHere('cancelled') : endHere('failed', arrival.reason);
        break;
      case 'row': {
        next = undefined;
        const { row } = arrival;
        if (signal.aborted) {
          end = endHere('cancelled');
        } else if (row === undefined || row.kind === 'broken') {
          end = endHere('truncated', 'the connection to the companion was lost');
        } else if (row.kind === 'end') {
          // Not cancelled by this page, so the companion must be shutting down.
          end = row.end.reason === 'cancelled' ? endHere('truncated', 'the companion ended the answer') : row.end;
        } else if (row.kind === 'states') {
          image = openImage?.(row.states);
        } else if (row.kind === 'prompt') {
          yield { type: 'prompt', tokens: row.tokens };
        } else if (row.kind === 'token') {
          if (tokens === 0) firstTokenMs = performance.now() - askedAt;
          tokens += 1;
          yield { type: 'token', token: row.token };
          if (image) waiting.push({ tokenIndex: row.token.index, queryState: row.queryState });
        }
        break;
      }
    }
    if (batch === undefined && image && waiting.length > 0) {
      batch = mapsOf(image, waiting);
      waiting = [];
    }
    if (end && batch === undefined) {
      const message = end.message ?? mapFailure;
      yield { type: 'end', end: { ...end, ...(message !== undefined && { message }) } };
      return;
    }
  }
}

/** Never rejects, because nothing may be awaiting it by the time it settles. */
async function nextRow(rows: AsyncIterator<RunRow>): Promise<Arrival> {
  try {
    const { done, value } = await rows.next();
    return { kind: 'row', row: done ? undefined : value };
  } catch (error) {
    return { kind: 'failed', reason: reasonOf(error) };
  }
}

async function mapsOf(image: HeadImage, of: readonly Waiting[]): Promise<Arrival> {
  try {
    return { kind: 'maps', of, maps: await image.maps(stacked(of.map(({ queryState }) => queryState))) };
  } catch (error) {
    return { kind: 'no-maps', of, reason: reasonOf(error) };
  }
}

/** Stacks rows; the result is float32 if any of them is. */
function stacked(states: readonly StateRows[]): StateRows {
  const [first] = states;
  if (first === undefined || states.length === 1) return first ?? { values: new Float32Array(), rows: 0, cols: 0 };
  const isHalf = states.every(({ values }) => values instanceof Uint16Array);
  const values = isHalf ? new Uint16Array(states.length * first.cols) : new Float32Array(states.length * first.cols);
  for (const [i, state] of states.entries()) {
    const row = !isHalf && state.values instanceof Uint16Array ? widenHalfs(state.values) : state.values;
    values.set(row, i * first.cols);
  }
  return { values, rows: states.length, cols: first.cols };
}
