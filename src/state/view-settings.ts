import { createParser, parseAsInteger, parseAsString, parseAsStringLiteral, useQueryStates } from 'nuqs';
import { type HeadMethod, isHeadMethod, type MethodId, methodIds } from '../contract/methods';
import { colourMapNames } from '../theme/colour-maps';

/** 0..1 with two decimals; any other value in the URL is ignored. */
const parseAsShare = createParser({
  parse: (text) => {
    const value = Number.parseFloat(text);
    return value >= 0 && value <= 1 ? Math.round(value * 100) / 100 : null;
  },
  serialize: (value) => value.toFixed(2),
});

/** Display settings are kept in the URL, so that a link shows what its sender saw. Defaults are left out. */
const parsers = {
  colours: parseAsStringLiteral(colourMapNames).withDefault('cividis'),
  /** With `fixed`, the colours span 0..1 in every map; with `own`, they span the range of each map's values. */
  scale: parseAsStringLiteral(['fixed', 'own'] as const).withDefault('fixed'),
  patches: parseAsStringLiteral(['nearest', 'smooth'] as const).withDefault('nearest'),
  /**
   * With `faded`, more of the image shows through less relevant patches; with `even`, the map is equally opaque
   * everywhere.
   */
  layer: parseAsStringLiteral(['faded', 'even'] as const).withDefault('faded'),
  opacityPercent: parseAsInteger.withDefault(80),
  /** The method of the map in Explain. Null: FastRM if the answer has a head, otherwise TAM. */
  method: parseAsStringLiteral(methodIds),
  /** Thresholds of FastRM and of the other heads. Null: the head's classification threshold. */
  threshold: parseAsShare,
  paperThreshold: parseAsShare,
  plusThreshold: parseAsShare,
  /** Share of a map's maximum at which magnitudes are outlined. Null: the labelling threshold. */
  shareThreshold: parseAsShare,
  /** Null: the run's first frame. */
  frame: parseAsStringLiteral(['image', 'detail', 'overview'] as const),
  /** File of the recorded run to open initially. */
  run: parseAsString,
};

const urlKeys = {
  opacityPercent: 'opacity',
  paperThreshold: 'paper-threshold',
  plusThreshold: 'plus-threshold',
  shareThreshold: 'share-threshold',
} as const;

const headThresholds = {
  fastrm: 'threshold',
  'fastrm-paper': 'paperThreshold',
  'fastrm-plus': 'plusThreshold',
} as const satisfies Record<HeadMethod, keyof typeof parsers>;

/** The setting with the threshold at which a method's maps are outlined. */
export function thresholdSetting(method: MethodId) {
  return isHeadMethod(method) ? headThresholds[method] : 'shareThreshold';
}

export function useViewSettings() {
  return useQueryStates(parsers, { urlKeys, history: 'replace' });
}

export type ViewSettings = ReturnType<typeof useViewSettings>[0];
export type SetViewSettings = ReturnType<typeof useViewSettings>[1];
