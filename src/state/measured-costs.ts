import { type MethodId, methodIds } from '../contract/methods';
import { type MethodTrack, trackOf } from './explain-session';
import type { RunSnapshot } from './run-record';

export interface MeasuredCost {
  readonly tokens: number;
  readonly ms: number;
}

/**
 * Costs measured in this tab, per method: one entry per explain job. FastRM's maps are computed with the answer, so all
 * maps of an answer form one entry. Recorded runs do not count: they were computed elsewhere.
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
