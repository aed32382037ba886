import { create } from 'zustand';
import type { TableEntropy } from '../contract/calibration-table';
import type { Pooling } from '../math/statistics/pooling';
import type { AnswerValue, FilterChoice, RowOrder } from '../statistics/api';

/** Which answers the densities are of: all, those of one data set, or those that the brushes leave. */
export type TrustSubset =
  | { readonly of: 'all' }
  | { readonly of: 'set'; readonly name: string }
  | { readonly of: 'brushed' };

export type EntropyValue = Extract<AnswerValue, { of: 'entropy' }>;

export const binCounts = [20, 40, 80] as const;

/** What the user chose about entropies and their calibration. */
export interface TrustChoices {
  /** Undefined: what separates right from wrong best in the calibration. */
  readonly entropy: { readonly kind: TableEntropy; readonly pooling: Pooling } | undefined;
  /** Times Scott's. */
  readonly bandwidthFactor: number;
  readonly bins: (typeof binCounts)[number];
  readonly subset: TrustSubset;
  /** What the brushes leave, by chart. */
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
  /** For another calibration: what was chosen among its answers, sets and entropies is gone. */
  startOver(): void;
}

const ofOneTable = {
  entropy: undefined,
  subset: { of: 'all' },
  brushes: {},
  search: '',
  order: { by: 'file', descending: false },
} as const;

export const useTrustChoices = create<TrustChoices>((set) => ({
  ...ofOneTable,
  bandwidthFactor: 1,
  bins: 40,
  // The brush on its chart is in nats of the former one.
  setEntropy: (entropy) =>
    set(({ brushes, subset }) => ({ entropy, ...afterBrushes(brushesWith(brushes, 'entropy', undefined), subset) })),
  setBandwidthFactor: (bandwidthFactor) => set({ bandwidthFactor }),
  setBins: (bins) => set({ bins }),
  setSubset: (subset) => set({ subset }),
  brush: (chart, choice) => set(({ brushes, subset }) => afterBrushes(brushesWith(brushes, chart, choice), subset)),
  clearBrushes: () => set(({ subset }) => ({ ...afterBrushes({}, subset), search: '' })),
  setSearch: (search) => set({ search }),
  setOrder: (order) => set({ order }),
  startOver: () => set(ofOneTable),
}));

function brushesWith(
  brushes: TrustChoices['brushes'],
  chart: string,
  choice: FilterChoice | undefined,
): TrustChoices['brushes'] {
  const { [chart]: _, ...others } = brushes;
  return choice === undefined ? others : { ...others, [chart]: choice };
}

/** With nothing brushed, "what the brushes leave" is everything. */
function afterBrushes(brushes: TrustChoices['brushes'], subset: TrustSubset) {
  const isEmpty = Object.keys(brushes).length === 0;
  return { brushes, subset: isEmpty && subset.of === 'brushed' ? ({ of: 'all' } as const) : subset };
}

/** A name added to those that a chart of categories leaves, or taken from them; none left means no choice. */
export function toggledNames(choice: FilterChoice | undefined, name: string): FilterChoice | undefined {
  const names = choice && 'names' in choice ? choice.names : [];
  const next = names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
  return next.length === 0 ? undefined : { names: next };
}

/** The mean log-probability of all tokens: what entropies are measured against. */
export const meanLogProb: AnswerValue = { of: 'logProb', pooling: 'mean' };
