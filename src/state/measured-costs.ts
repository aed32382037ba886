import { type MethodId, methodIds } from '../contract/methods';
import { type MethodTrack, trackOf } from './explain-session';
import type { RunSnapshot } from './run-record';

/** Methods whose maps may be computed while an answer streams. */
const streamed: readonly MethodId[] = ['fastrm', 'tam'];

export interface MeasuredCost {
  readonly tokens: number;
  readonly ms: number;
}

/**
 * Costs measured in this tab, per method: one entry per explain job. Maps that were computed while the answer streamed
 * (FastRM, or TAM without a head) belong to no job, so those of an answer form one entry. Recorded runs have no such
 * entry: they were computed elsewhere.
 */
export function selectMeasuredCosts(
  runs: readonly RunSnapshot[],
  tracks: ReadonlyMap<string, MethodTrack>,
): ReadonlyMap<MethodId, readonly MeasuredCost[]> {
  const costs = new Map<MethodId, MeasuredCost[]>();
  const put = (method: MethodId, cost: MeasuredCost) => costs.set(method, [...(costs.get(method) ?? []), cost]);
  for (const { header, tokens, end, mapOf } of runs) {
    for (const method of methodIds) {
      const jobs = trackOf({ tracks }, header.id, method).costs.filter((cost) => cost.tokens > 0);
      for (const { tokens: count, ms } of jobs) put(method, { tokens: count, ms });
      if (jobs.length > 0 || header.recorded || end === undefined || !streamed.includes(method)) continue;
      const maps = tokens.map(({ index }) => mapOf(index, method)).filter((map) => map !== undefined);
      if (maps.length > 0) put(method, { tokens: maps.length, ms: maps.reduce((sum, map) => sum + map.computeMs, 0) });
    }
  }
  return costs;
}
