// FastRM maps of an answer's tokens, computed by the head in this page.

import type { StateRows } from '../contract/answer-states';
import { widenHalfs } from '../contract/half-floats';
import type { HeadClient, HeadReport } from '../inference/head-client';
import type { TokenMaps } from './maps-alongside';

/** Opens the image in the head. Query states are sent in batches, because two tokens cost little more than one. */
export function openHeadMaps(
  head: Pick<HeadClient, 'openImage'>,
  patchStates: StateRows,
  onReport: (report: HeadReport) => void,
): TokenMaps {
  const image = head.openImage(patchStates);
  return {
    atOnce: Number.POSITIVE_INFINITY,
    setPrompt: image.setPrompt,
    async of(tokens) {
      const maps = await image.maps(stacked(tokens.map(({ queryState }) => queryState)));
      onReport(maps);
      const { values, promptValues, computeMs, backend } = maps;
      return tokens.map(({ token: { index: tokenIndex } }, i) => ({
        method: 'fastrm',
        tokenIndex,
        values: rowOf(values, i, patchStates.rows),
        backend,
        computeMs: computeMs / tokens.length,
        ...(promptValues && {
          text: { prompt: rowOf(promptValues, i, promptValues.length / tokens.length), answer: new Float32Array() },
        }),
      }));
    },
  };
}

export function rowOf(values: Float32Array, row: number, length: number): Float32Array {
  return values.slice(row * length, (row + 1) * length);
}

/** Stacks rows; the result is float32 if any of them is. */
export function stacked(states: readonly StateRows[]): StateRows {
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
