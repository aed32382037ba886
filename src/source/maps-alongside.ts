// Turns a live answer's rows into events and computes its maps alongside: each token is yielded immediately and queued
// for its map, so that maps never hold up the text.

import type { StateRows } from '../contract/answer-states';
import type { RelevancyMap, RunEnd, RunEvent } from '../contract/run';
import type { RunRow } from '../contract/run-rows';
import { reasonOf } from '../text/reason-of';

type TokenRow = Extract<RunRow, { kind: 'token' }>;

/** Maps of one answer's tokens. */
export interface TokenMaps {
  /** Maximum number of tokens per call. */
  readonly atOnce: number;
  /** Called when the states [m, d] of the prompt's text tokens arrive, before any token. */
  setPrompt?(promptStates: StateRows): void;
  /** The maps of consecutive tokens, in order. */
  of(tokens: readonly TokenRow[]): Promise<readonly RelevancyMap[]>;
}

export interface AlongsideOptions {
  /** Called when the states of the image's patches arrive. */
  openMaps(patchStates: StateRows): TokenMaps | undefined;
  /** Once aborted, no further token is yielded; maps of earlier tokens still are. */
  readonly signal: AbortSignal;
  /** `performance.now()` when the question was asked. */
  readonly askedAt: number;
}

type Arrival =
  | { readonly kind: 'row'; readonly row: RunRow | undefined }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'maps'; readonly maps: readonly RelevancyMap[] }
  | { readonly kind: 'no-maps'; readonly from: number; readonly reason: string };

/** Yields the prompt, tokens, maps and one `end`; never throws. The caller handles the rows that precede the states. */
export async function* mapsAlongside(
  rows: AsyncIterator<RunRow>,
  { openMaps, signal, askedAt }: AlongsideOptions,
): AsyncGenerator<Exclude<RunEvent, { type: 'begin' | 'queued' }>> {
  let waiting: TokenRow[] = [];
  let maps: TokenMaps | undefined;
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
        for (const map of arrival.maps) yield { type: 'map', map };
        break;
      }
      case 'no-maps':
        batch = undefined;
        maps = undefined;
        waiting = [];
        mapFailure = `No maps from token ${arrival.from + 1} on: ${arrival.reason}`;
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
          maps = openMaps(row.states);
        } else if (row.kind === 'prompt') {
          maps?.setPrompt?.(row.states);
          yield { type: 'prompt', tokens: row.tokens };
        } else if (row.kind === 'token') {
          if (tokens === 0) firstTokenMs = performance.now() - askedAt;
          tokens += 1;
          yield { type: 'token', token: row.token };
          if (maps) waiting.push(row);
        }
        break;
      }
    }
    if (batch === undefined && maps && waiting.length > 0) {
      batch = mapsOf(maps, waiting.slice(0, maps.atOnce));
      waiting = waiting.slice(maps.atOnce);
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

async function mapsOf(maps: TokenMaps, tokens: readonly TokenRow[]): Promise<Arrival> {
  try {
    return { kind: 'maps', maps: await maps.of(tokens) };
  } catch (error) {
    return { kind: 'no-maps', from: tokens[0]?.token.index ?? 0, reason: reasonOf(error) };
  }
}
