import { useQuery } from '@tanstack/react-query';
import { thresholdQuery } from '../../state/statistics-queries';
import type { AnswerValue, Subset, ThresholdReport } from '../../statistics/api';
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
