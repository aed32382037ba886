// A live answer's rows as events, its maps made alongside: states -> the head's image; token -> yielded at once, and its
// query state waits for the head. While the head works, more may come to wait; they go to it together, for two tokens
// cost little more than one.

import { widenHalfs } from '../contract/half-floats';
import type { RunEnd, RunEvent } from '../contract/run';
import type { RunRow, StateRows } from '../contract/run-rows';
import type { HeadImage, HeadMaps } from '../inference/head-client';

export interface AlongsideOptions {
  /** Undefined where no maps can be made. */
  readonly openImage: ((patchStates: StateRows) => HeadImage) | undefined;
  /** From here on no token passes; the maps of those that did still come. */
  readonly signal: AbortSignal;
  /** `performance.now()` when the question was asked. */
  readonly askedAt: number;
  onMaps(maps: HeadMaps): void;
}

interface Waiting {
  readonly tokenIndex: number;
  readonly queryState: StateRows;
}

type Came =
  | { readonly kind: 'row'; readonly row: RunRow | undefined }
  | { readonly kind: 'fault'; readonly reason: string }
  | { readonly kind: 'maps'; readonly of: readonly Waiting[]; readonly maps: HeadMaps }
  | { readonly kind: 'no-maps'; readonly of: readonly Waiting[]; readonly reason: string };

/** The prompt, tokens, maps and one `end`; never throws. What comes before the states is the caller's. */
export async function* mapsAlongside(
  rows: AsyncIterator<RunRow>,
  { openImage, signal, askedAt, onMaps }: AlongsideOptions,
): AsyncGenerator<Exclude<RunEvent, { type: 'begin' | 'queued' }>> {
  let waiting: Waiting[] = [];
  let image: HeadImage | undefined;
  let batch: Promise<Came> | undefined;
  let next: Promise<Came> | undefined;
  let end: RunEnd | undefined;
  let mapFault: string | undefined;
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
    // The maps first: rows that are here already would else always come before them.
    const came = await Promise.race([batch, end === undefined ? next : undefined].filter((one) => one !== undefined));
    switch (came.kind) {
      case 'maps': {
        batch = undefined;
        onMaps(came.maps);
        const { values, computeMs, backend } = came.maps;
        const patches = values.length / came.of.length;
        for (const [i, { tokenIndex }] of came.of.entries()) {
          const own = values.slice(i * patches, (i + 1) * patches);
          const map = { tokenIndex, values: own, backend, computeMs: computeMs / came.of.length };
          yield { type: 'map', map: { method: 'fastrm', ...map } };
        }
        break;
      }
      case 'no-maps':
        batch = undefined;
        image = undefined;
        waiting = [];
        mapFault = `No maps from token ${(came.of[0]?.tokenIndex ?? 0) + 1} on: ${came.reason}`;
        break;
      case 'fault':
        end = signal.aborted ? endHere('cancelled') : endHere('failed', came.reason);
        break;
      case 'row': {
        next = undefined;
        const { row } = came;
        if (signal.aborted) {
          end = endHere('cancelled');
        } else if (row === undefined || row.kind === 'broken') {
          end = endHere('truncated', 'the connection to the companion was lost');
        } else if (row.kind === 'end') {
          // Not stopped from here: the companion is closing down.
          end = row.end.reason === 'cancelled' ? endHere('truncated', 'the companion ended it') : row.end;
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
      const message = end.message ?? mapFault;
      yield { type: 'end', end: { ...end, ...(message !== undefined && { message }) } };
      return;
    }
  }
}

/** Does not reject: it may be under way when nobody waits for it any more. */
async function nextRow(rows: AsyncIterator<RunRow>): Promise<Came> {
  try {
    const { done, value } = await rows.next();
    return { kind: 'row', row: done ? undefined : value };
  } catch (error) {
    return { kind: 'fault', reason: reasonOf(error) };
  }
}

async function mapsOf(image: HeadImage, of: readonly Waiting[]): Promise<Came> {
  try {
    return { kind: 'maps', of, maps: await image.maps(stacked(of.map(({ queryState }) => queryState))) };
  } catch (error) {
    return { kind: 'no-maps', of, reason: reasonOf(error) };
  }
}

/** Rows under each other; float32 where any of them is. */
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

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
