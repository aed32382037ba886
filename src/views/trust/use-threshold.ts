import { useQuery } from '@tanstack/react-query';
import { kindsQuery, thresholdQuery } from '../../state/statistics-queries';
import { meanLogProb } from '../../state/trust-choices';
import type { AnswerValue, KindsReport, LoadedCalibration, Subset, ThresholdReport } from '../../statistics/api';
import { useServices } from '../shared/services-context';

const wholeTable: Subset = {};

/** The threshold for `value` and how well it separates right from wrong answers; undefined until computed. */
export function useThreshold(
  table: number | undefined,
  value: AnswerValue | undefined,
  slot: string,
  subset: Subset = wholeTable,
): ThresholdReport | undefined {
  const { statistics } = useServices();
  const request = value && { value, subset, seed: 0 };
  return useQuery(thresholdQuery(statistics, table, request, slot)).data;
}

/**
 * How well entropy, and log-probability if the table has it, separate right from wrong answers to the same kind of
 * question; undefined until computed.
 */
export function useKinds(
  loaded: LoadedCalibration | undefined,
  entropy: AnswerValue | undefined,
  slot: string,
  subset: Subset = wholeTable,
): KindsReport | undefined {
  const { statistics } = useServices();
  const request = loaded &&
    entropy && { values: loaded.hasLogProbs ? [entropy, meanLogProb] : [entropy], subset, seed: 0 };
  return useQuery(kindsQuery(statistics, loaded?.table, request, slot)).data;
}
