import { create } from 'zustand';
import type { TableEntropy } from '../contract/calibration-table';
import type { Pooling } from '../math/statistics/pooling';
import type { AnswerValue, FilterChoice, RowOrder } from '../statistics/api';

/** The answers that the densities show: all, those of one dataset, or those that pass the brushes. */
export type TrustSubset =
  | { readonly of: 'all' }
  | { readonly of: 'set'; readonly name: string }
  | { readonly of: 'brushed' };

export type EntropyValue = Extract<AnswerValue, { of: 'entropy' }>;

export const binCounts = [20, 40, 80] as const;

/** The user's choices for entropies and their calibration. */
export interface TrustChoices {
  /** Undefined: the choice that best separates right from wrong answers in the calibration. */
  readonly entropy: { readonly kind: TableEntropy; readonly pooling: Pooling } | undefined;
  /** Multiple of Scott's bandwidth. */
  readonly bandwidthFactor: number;
  readonly bins: (typeof binCounts)[number];
  readonly subset: TrustSubset;
  /** Brushed range or names, by chart. */
  readonly brushes: Readonly<Record<string, FilterChoice>>;
  readonly search: string;
  readonly order: RowOrder;
  setEntropy(entropy: TrustChoices['entropy']): void;
  setBandwidthFactor(factor: number): void;
  setBins(bins: TrustChoices['bins']): void;
  setSubset(subset: TrustSubset): void;
  brush(chart: string, choice: FilterChoice | undefined): void;
  clearBrushes(): void;
  setSearch(search: string): void;
  setOrder(order: RowOrder): void;
  /** Call this for a new calibration: it resets the choices that depend on the answers, sets and entropies. */
  startOver(): void;
}

const tableDefaults = {
  entropy: undefined,
  subset: { of: 'all' },
  brushes: {},
  search: '',
  order: { by: 'file', descending: false },
} as const;

export const useTrustChoices = create<TrustChoices>((set) => ({
  ...tableDefaults,
  bandwidthFactor: 1,
  bins: 40,
  // The brush on the entropy chart is in nats of the previous entropy, so clear it.
  setEntropy: (entropy) =>
    set(({ brushes, subset }) => ({ entropy, ...afterBrushes(brushesWith(brushes, 'entropy', undefined), subset) })),
  setBandwidthFactor: (bandwidthFactor) => set({ bandwidthFactor }),
  setBins: (bins) => set({ bins }),
  setSubset: (subset) => set({ subset }),
  brush: (chart, choice) => set(({ brushes, subset }) => afterBrushes(brushesWith(brushes, chart, choice), subset)),
  clearBrushes: () => set(({ subset }) => ({ ...afterBrushes({}, subset), search: '' })),
  setSearch: (search) => set({ search }),
  setOrder: (order) => set({ order }),
  startOver: () => set(tableDefaults),
}));

function brushesWith(
  brushes: TrustChoices['brushes'],
  chart: string,
  choice: FilterChoice | undefined,
): TrustChoices['brushes'] {
  const { [chart]: _, ...others } = brushes;
  return choice === undefined ? others : { ...others, [chart]: choice };
}

/** Without brushes, the brushed subset becomes all answers. */
function afterBrushes(brushes: TrustChoices['brushes'], subset: TrustSubset) {
  const isEmpty = Object.keys(brushes).length === 0;
  return { brushes, subset: isEmpty && subset.of === 'brushed' ? ({ of: 'all' } as const) : subset };
}

/** Adds a name to a category chart's choice, or removes it; undefined if no name remains. */
export function toggledNames(choice: FilterChoice | undefined, name: string): FilterChoice | undefined {
  const names = choice && 'names' in choice ? choice.names : [];
  const next = names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
  return next.length === 0 ? undefined : { names: next };
}

/** The mean log-probability of all tokens: the baseline for entropies. */
export const meanLogProb: AnswerValue = { of: 'logProb', pooling: 'mean' };
