import { useQuery } from '@tanstack/react-query';
import { calibrationQuery, useOwnCalibration } from '../../state/calibration-files';
import { type OpenCalibration, poolingsQuery } from '../../state/statistics-queries';
import { type EntropyValue, type TrustChoices, useTrustChoices } from '../../state/trust-choices';
import type { LoadedCalibration, PoolingTable } from '../../statistics/api';
import { useServices } from '../shared/services-context';

export type CalibrationState =
  | { readonly phase: 'none' }
  | { readonly phase: 'loading' }
  | { readonly phase: 'failed'; readonly reason: string }
  | { readonly phase: 'open'; readonly calibration: OpenCalibration; readonly isOwn: boolean };

/** The user's own calibration if it is usable, otherwise the calibration at `url`, if any. */
export function useCalibration(
  url: string | undefined,
  { isWanted, isUsable }: { readonly isWanted: boolean; isUsable?(own: LoadedCalibration): boolean },
): CalibrationState {
  const { statistics } = useServices();
  const own = useOwnCalibration().open;
  const open = own && (isUsable?.(own.loaded) ?? true) ? own : undefined;
  const shipped = useQuery({
    ...calibrationQuery(statistics, url),
    enabled: isWanted && open === undefined,
  });
  if (open) return { phase: 'open', calibration: open, isOwn: true };
  if (url === undefined) return { phase: 'none' };
  if (shipped.data) return { phase: 'open', calibration: shipped.data, isOwn: false };
  return shipped.error ? { phase: 'failed', reason: shipped.error.message } : { phase: 'loading' };
}

export interface EntropyChoice {
  readonly value: EntropyValue;
  /** The choice that best separates right from wrong answers in this calibration. */
  readonly best: EntropyValue;
  readonly isBest: boolean;
  readonly poolings: PoolingTable;
}

const selectEntropy = (choices: TrustChoices) => choices.entropy;

/** The entropy and pooling in use; undefined until the best choice is known. */
export function useEntropyChoice(loaded: LoadedCalibration | undefined): EntropyChoice | undefined {
  const { statistics } = useServices();
  const chosen = useTrustChoices(selectEntropy);
  const { data } = useQuery(poolingsQuery(statistics, loaded?.table));
  if (loaded === undefined || data === undefined) return undefined;
  const first = data.rows.map(({ value }) => value).find((value) => value.of === 'entropy');
  const best: EntropyValue = first ?? { of: 'entropy', kind: loaded.entropies[0] ?? 'given', pooling: 'mean' };
  const isOffered = chosen !== undefined && loaded.entropies.includes(chosen.kind);
  const value: EntropyValue = isOffered ? { of: 'entropy', ...chosen } : best;
  return { value, best, isBest: value.kind === best.kind && value.pooling === best.pooling, poolings: data };
}
