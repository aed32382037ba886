import { parseAsString, useQueryState } from 'nuqs';
import type { TokenSelection } from './token-selection';

// `?tokens=2`, `2-4`, `1,3-5` or `all`: counted from 1, as on the page.

/** Undefined if nothing was picked: the URL then has no `tokens`. */
export function formatSelection(selection: TokenSelection): string | undefined {
  switch (selection.kind) {
    case 'auto':
      return undefined;
    case 'answer':
      return 'all';
    case 'picked':
      return runsOf(selection.indices)
        .map(({ first, last }) => (first === last ? `${first + 1}` : `${first + 1}-${last + 1}`))
        .join(',');
  }
}

/** Undefined if the text is invalid or a token is beyond `tokenCount`. */
export function parseSelection(text: string, tokenCount: number): TokenSelection | undefined {
  if (text === 'all') return { kind: 'answer' };
  const indices = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (match === null) return undefined;
    const first = Number(match[1]) - 1;
    const last = Number(match[2] ?? match[1]) - 1;
    if (first < 0 || last < first || last >= tokenCount) return undefined;
    for (let index = first; index <= last; index++) indices.add(index);
  }
  const ascending = [...indices].sort((a, b) => a - b);
  const anchor = ascending[0];
  return anchor === undefined ? undefined : { kind: 'picked', indices: ascending, anchor };
}

function runsOf(indices: readonly number[]): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1 === index) run.last = index;
    else runs.push({ first: index, last: index });
  }
  return runs;
}

const key = 'tokens';

/** `search` is `location.search`. */
export function selectionInAddress(search: string, tokenCount: number): TokenSelection | undefined {
  const text = new URLSearchParams(search).get(key);
  return text === null ? undefined : parseSelection(text, tokenCount);
}

/** Sets `tokens` in the URL; null removes it. */
export function useSetTokenAddress(): (text: string | null) => void {
  const [, setText] = useQueryState(key, parseAsString.withOptions({ history: 'replace' }));
  return setText;
}
