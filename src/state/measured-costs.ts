import { type MethodId, methodIds } from '../contract/methods';
import { type MethodTrack, trackOf } from './explain-session';
import type { RunSnapshot } from './run-record';

export interface MeasuredCost {
  readonly tokens: number;
  readonly ms: number;
}

/**
 * What this tab has measured of each method: one entry an explanation. FastRM's maps are made with the answer, so that a
 * whole answer's together are one entry; those of recorded runs were made elsewhere and do not count.
 */
export function selectMeasuredCosts(
  runs: readonly RunSnapshot[],
  tracks: ReadonlyMap<string, MethodTrack>,
): ReadonlyMap<MethodId, readonly MeasuredCost[]> {
  const costs = new Map<MethodId, MeasuredCost[]>();
  const put = (method: MethodId, cost: MeasuredCost) => costs.set(method, [...(costs.get(method) ?? []), cost]);
  for (const { header, tokens, end, mapOf } of runs) {
    const maps = tokens.map(({ index }) => mapOf(index)).filter((map) => map !== undefined);
    if (!header.recorded && end !== undefined && maps.length > 0) {
      put('fastrm', { tokens: maps.length, ms: maps.reduce((sum, map) => sum + map.computeMs, 0) });
    }
    for (const method of methodIds) {
      for (const { tokens: count, ms } of trackOf({ tracks }, header.id, method).costs) {
        if (count > 0) put(method, { tokens: count, ms });
      }
    }
  }
  return costs;
}
