import { createParser, parseAsArrayOf, parseAsStringLiteral, useQueryStates } from 'nuqs';
import { type MethodId, methodIds } from '../contract/methods';
import { parseAsShare } from './view-settings';

/** Panels beside each other. */
export const mostPanels = 4;

/** Original values: a probability as it is, a magnitude as its share of its map's greatest value. */
const valueScales = ['given', 'share', 'rank'] as const;
export type ValueScale = (typeof valueScales)[number];

/** How several tokens' maps become one. */
const pools = ['mean', 'max', 'grounded'] as const;
export type Pool = (typeof pools)[number];

/** One to four methods, each once; anything else in the address counts as absent. */
export const parseAsMethods = createParser({
  parse: (text) => {
    const named = parseAsArrayOf(parseAsStringLiteral(methodIds)).parse(text);
    const methods = [...new Set(named)].slice(0, mostPanels);
    return methods.length > 0 ? methods : null;
  },
  serialize: (methods: MethodId[]) => methods.join(','),
  eq: (a, b) => a.join() === b.join(),
});

export const parseAsPair = createParser({
  parse: (text) => {
    const [first, second, ...others] = parseAsMethods.parse(text) ?? [];
    return first !== undefined && second !== undefined && others.length === 0 ? ([first, second] as const) : null;
  },
  serialize: (pair: readonly [MethodId, MethodId]) => pair.join(','),
  eq: (a, b) => a.join() === b.join(),
});

const parsers = {
  /** Null: FastRM, and the first that is offered beside it. */
  methods: parseAsMethods,
  /** What is subtracted from what; null: the second panel from the first. */
  difference: parseAsPair,
  values: parseAsStringLiteral(valueScales).withDefault('given'),
  pool: parseAsStringLiteral(pools).withDefault('mean'),
  /** Method of the strip of all tokens' maps; null: the first panel's. */
  strip: parseAsStringLiteral(methodIds),
  /** Share of a map's maximum at which magnitudes are outlined. Null: the labelling threshold. */
  shareThreshold: parseAsShare,
};

const urlKeys = { shareThreshold: 'share-threshold' } as const;

export function useCompareSettings() {
  return useQueryStates(parsers, { urlKeys, history: 'replace' });
}

export type CompareSettings = ReturnType<typeof useCompareSettings>[0];
export type SetCompareSettings = ReturnType<typeof useCompareSettings>[1];
