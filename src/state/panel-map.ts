import { type HeadMethod, isHeadMethod, type MethodId, methods } from '../contract/methods';
import type { HeadFacts, RelevancyMap, RunHeader } from '../contract/run';
import { greatestOfMaps, percentiles, sharesOfMaximum, weightedMeanOfMaps } from '../math/maps/map-scales';
import { averageMaps } from '../math/maps/map-values';
import type { Pool, ValueScale } from './compare-settings';
import { headOf, type Offer } from './method-offers';
import type { RunSnapshot } from './run-record';

/** Where maps are outlined: probabilities at `classification`, magnitudes at `share` of their map's maximum. */
export interface Thresholds {
  /** One per head. */
  readonly classification: Readonly<Record<HeadMethod, number>>;
  readonly share: number;
}

/** One method's map of the selected tokens in the shown frame; arrays are row-major over its grid. */
export interface PanelMap {
  readonly method: MethodId;
  /** Values in the unit of the threshold: a probability, or a share of the complete map's maximum. */
  readonly read: Float32Array;
  readonly threshold: number;
  /** As shares of the complete map's maximum. */
  readonly shares: Float32Array;
  /** In the chosen scale, 0..1. */
  readonly values: Float32Array;
  readonly tokenIndices: readonly number[];
  readonly missing: readonly number[];
  /** Total over the maps of `tokenIndices`. */
  readonly computeMs: number;
  readonly backend: RelevancyMap['backend'];
  /** The head that computed the maps, if it is not the one in the run's header. */
  readonly head?: HeadFacts | undefined;
}

export interface PanelRequest {
  readonly method: MethodId;
  readonly indices: readonly number[];
  readonly pool: Pool;
  readonly scale: ValueScale;
  readonly thresholds: Thresholds;
  /** The part of a map that holds the shown frame's patches. */
  readonly frame: { readonly first: number; readonly end: number };
}

/** `none` without a reason if there is nothing to draw yet. */
export type PanelDrawing =
  | { readonly kind: 'map'; readonly map: PanelMap }
  | { readonly kind: 'none'; readonly reason: string | undefined };

export type PanelDrawings = ReadonlyMap<MethodId, PanelDrawing>;

export function selectPanelMap(run: Pick<RunSnapshot, 'mapOf'>, request: PanelRequest): PanelDrawing {
  const { method, indices, pool, scale, thresholds, frame } = request;
  const maps = indices.map((index) => run.mapOf(index, method)).filter((map) => map !== undefined);
  const [first] = maps;
  if (first === undefined) return { kind: 'none', reason: undefined };
  const pooled = poolMaps(run, maps, pool);
  if (pooled.kind === 'refused') return { kind: 'none', reason: pooled.reason };
  const inFrame = (values: Float32Array) => values.subarray(frame.first, frame.end);
  const shares = inFrame(sharesOf(pooled.values));
  const read = methods[method].values === 'probability' ? inFrame(pooled.values) : shares;
  return {
    kind: 'map',
    map: {
      method,
      read,
      threshold: thresholdOf(method, thresholds),
      shares,
      values: scaled(scale, read, shares),
      tokenIndices: maps.map(({ tokenIndex }) => tokenIndex),
      missing: indices.filter((index) => run.mapOf(index, method) === undefined),
      computeMs: maps.reduce((sum, map) => sum + map.computeMs, 0),
      backend: first.backend,
      head: first.head,
    },
  };
}

/** The thresholds until the user chooses others: each head's own, or the usual ones without a head. */
export function usualThresholds(
  header: Pick<RunHeader, 'head'>,
  offers: readonly Pick<Offer, 'method' | 'head'>[],
): Thresholds {
  const ofHead = (method: HeadMethod) => headOf(method, header, offers)?.classificationThreshold ?? 0.5;
  return {
    classification: {
      fastrm: ofHead('fastrm'),
      'fastrm-paper': ofHead('fastrm-paper'),
      'fastrm-plus': ofHead('fastrm-plus'),
    },
    share: header.head?.labellingThreshold ?? 0.3,
  };
}

export function thresholdOf(method: MethodId, { classification, share }: Thresholds): number {
  return isHeadMethod(method) ? classification[method] : share;
}

/** A complete map in the unit of its threshold. */
export function readValues({ method, values }: Pick<RelevancyMap, 'method' | 'values'>): Float32Array {
  return methods[method].values === 'probability' ? values : sharesOf(values);
}

function scaled(scale: ValueScale, read: Float32Array, shares: Float32Array): Float32Array {
  switch (scale) {
    case 'given':
      return read;
    case 'share':
      return shares;
    case 'rank':
      return percentiles(shares);
  }
}

/** Maps of different tokens must not be subtracted: the difference would be between tokens, not methods. */
export function areOfSameTokens(first: PanelMap, second: PanelMap): boolean {
  return first.tokenIndices.join() === second.tokenIndices.join();
}

/** The values to subtract: percentiles if ranks are shown, otherwise shares of the maximum. */
export function comparableValues({ shares, values }: PanelMap, scale: ValueScale): Float32Array {
  return scale === 'rank' ? values : shares;
}

type Pooled =
  | { readonly kind: 'values'; readonly values: Float32Array }
  | { readonly kind: 'refused'; readonly reason: string };

function poolMaps(run: Pick<RunSnapshot, 'mapOf'>, maps: readonly RelevancyMap[], pool: Pool): Pooled {
  const values = maps.map((map) => map.values);
  if (maps.length === 1) return { kind: 'values', values: values[0]! };
  switch (pool) {
    case 'mean':
      return { kind: 'values', values: averageMaps(values)! };
    case 'max':
      return { kind: 'values', values: greatestOfMaps(values)! };
    case 'grounded': {
      const weights = maps.map(({ tokenIndex }) => run.mapOf(tokenIndex, 'dex-ar')?.grounding);
      const known = weights.filter((weight) => weight !== undefined);
      if (known.length < weights.length) {
        const missing = weights.length - known.length;
        return {
          kind: 'refused',
          reason: `DEX-AR has no weight for ${missing} of these ${weights.length} tokens yet.`,
        };
      }
      const mean = weightedMeanOfMaps(values, known);
      if (mean === undefined) {
        return { kind: 'refused', reason: 'None of these tokens depends on the image: DEX-AR gives each weight 0.' };
      }
      return { kind: 'values', values: mean };
    }
  }
}

const sharesCache = new WeakMap<Float32Array, Float32Array>();

/** Shares of the maximum over all frames; cached per map. */
function sharesOf(values: Float32Array): Float32Array {
  const cached = sharesCache.get(values);
  if (cached) return cached;
  const shares = sharesOfMaximum(values);
  sharesCache.set(values, shares);
  return shares;
}
