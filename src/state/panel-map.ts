import { type MethodId, methods } from '../contract/methods';
import type { RelevancyMap } from '../contract/run';
import { greatestOfMaps, percentiles, sharesOfMaximum, weightedMeanOfMaps } from '../math/maps/map-scales';
import { averageMaps } from '../math/maps/map-values';
import type { Pool, ValueScale } from './compare-settings';
import type { RunRecord } from './run-record';

/** Where maps are outlined: probabilities at the first, magnitudes at that share of their map's maximum. */
export interface Thresholds {
  readonly classification: number;
  readonly share: number;
}

/** One method's map of the selected tokens, in the shown frame; each list is row-major over its grid. */
export interface PanelMap {
  readonly method: MethodId;
  /** What the threshold is read against: a probability, or a share of the whole map's maximum. */
  readonly read: Float32Array;
  readonly threshold: number;
  /** As shares of the whole map's maximum. */
  readonly shares: Float32Array;
  /** In the scale chosen, 0..1. */
  readonly values: Float32Array;
  readonly tokenIndices: readonly number[];
  readonly missing: readonly number[];
  /** All their maps together. */
  readonly computeMs: number;
  readonly backend: RelevancyMap['backend'];
}

export interface PanelRequest {
  readonly method: MethodId;
  readonly indices: readonly number[];
  readonly pool: Pool;
  readonly scale: ValueScale;
  readonly thresholds: Thresholds;
  /** Where the shown frame's patches lie in a map. */
  readonly frame: { readonly first: number; readonly end: number };
}

/** `none` without a reason where there is nothing to draw yet. */
export type PanelDrawing =
  | { readonly kind: 'map'; readonly map: PanelMap }
  | { readonly kind: 'none'; readonly reason: string | undefined };

export type PanelDrawings = ReadonlyMap<MethodId, PanelDrawing>;

export function selectPanelMap(record: Pick<RunRecord, 'mapOf'>, request: PanelRequest): PanelDrawing {
  const { method, indices, pool, scale, thresholds, frame } = request;
  const maps = indices.map((index) => record.mapOf(index, method)).filter((map) => map !== undefined);
  const [first] = maps;
  if (first === undefined) return { kind: 'none', reason: undefined };
  const pooled = poolMaps(record, maps, pool);
  if (pooled.kind === 'refused') return { kind: 'none', reason: pooled.reason };
  const ofFrame = (values: Float32Array) => values.subarray(frame.first, frame.end);
  const shares = ofFrame(sharesOf(pooled.values));
  const read = methods[method].values === 'probability' ? ofFrame(pooled.values) : shares;
  return {
    kind: 'map',
    map: {
      method,
      read,
      threshold: thresholdOf(method, thresholds),
      shares,
      values: scaled(scale, read, shares),
      tokenIndices: maps.map(({ tokenIndex }) => tokenIndex),
      missing: indices.filter((index) => record.mapOf(index, method) === undefined),
      computeMs: maps.reduce((sum, map) => sum + map.computeMs, 0),
      backend: first.backend,
    },
  };
}

export function thresholdOf(method: MethodId, { classification, share }: Thresholds): number {
  return methods[method].values === 'probability' ? classification : share;
}

/** A whole map in the unit that its threshold is read against. */
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

/** Else a difference would be one between tokens, and not between methods. */
export function areOfSameTokens(first: PanelMap, second: PanelMap): boolean {
  return first.tokenIndices.join() === second.tokenIndices.join();
}

/** How each patch differs between two maps, -1..1: in percentiles where ranks are shown, else in shares of the maximum. */
export function comparableValues({ shares, values }: PanelMap, scale: ValueScale): Float32Array {
  return scale === 'rank' ? values : shares;
}

type Pooled =
  | { readonly kind: 'values'; readonly values: Float32Array }
  | { readonly kind: 'refused'; readonly reason: string };

function poolMaps(record: Pick<RunRecord, 'mapOf'>, maps: readonly RelevancyMap[], pool: Pool): Pooled {
  const values = maps.map((map) => map.values);
  if (maps.length === 1) return { kind: 'values', values: values[0]! };
  switch (pool) {
    case 'mean':
      return { kind: 'values', values: averageMaps(values)! };
    case 'max':
      return { kind: 'values', values: greatestOfMaps(values)! };
    case 'grounded': {
      const weights = maps.map(({ tokenIndex }) => record.mapOf(tokenIndex, 'dex-ar')?.grounding);
      const known = weights.filter((weight) => weight !== undefined);
      if (known.length < weights.length) {
        const lacking = weights.length - known.length;
        return { kind: 'refused', reason: `DEX-AR has not weighed ${lacking} of these ${weights.length} tokens yet.` };
      }
      const mean = weightedMeanOfMaps(values, known);
      if (mean === undefined) {
        return { kind: 'refused', reason: 'None of these tokens looks at the image: DEX-AR weighs each of them 0.' };
      }
      return { kind: 'values', values: mean };
    }
  }
}

const knownShares = new WeakMap<Float32Array, Float32Array>();

/** Of the whole map, all frames together; computed once a map. */
function sharesOf(values: Float32Array): Float32Array {
  const known = knownShares.get(values);
  if (known) return known;
  const shares = sharesOfMaximum(values);
  knownShares.set(values, shares);
  return shares;
}
