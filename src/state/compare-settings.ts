import { createParser, parseAsArrayOf, parseAsStringLiteral, useQueryStates } from 'nuqs';
import { type MethodId, methodIds } from '../contract/methods';

/** Maximum number of panels side by side. */
export const maxPanels = 4;

/** `given` keeps a probability unchanged and shows a magnitude as a share of its map's maximum. */
const valueScales = ['given', 'share', 'rank'] as const;
export type ValueScale = (typeof valueScales)[number];

/** How the maps of several tokens are combined. */
const pools = ['mean', 'max', 'grounded'] as const;
export type Pool = (typeof pools)[number];

/** One to four distinct methods; any other value in the URL is ignored. */
export const parseAsMethods = createParser({
  parse: (text) => {
    const parsed = parseAsArrayOf(parseAsStringLiteral(methodIds)).parse(text);
    const methods = [...new Set(parsed)].slice(0, maxPanels);
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
  /** Null: FastRM and the first other method offered. */
  methods: parseAsMethods,
  /** The first minus the second; null: the first panel minus the second. */
  difference: parseAsPair,
  values: parseAsStringLiteral(valueScales).withDefault('given'),
  pool: parseAsStringLiteral(pools).withDefault('mean'),
  /** Method shown in the strip; null: the first panel's. */
  strip: parseAsStringLiteral(methodIds),
};

export function useCompareSettings() {
  return useQueryStates(parsers, { history: 'replace' });
}

export type CompareSettings = ReturnType<typeof useCompareSettings>[0];
export type SetCompareSettings = ReturnType<typeof useCompareSettings>[1];
