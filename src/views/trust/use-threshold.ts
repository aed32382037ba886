import { useQuery } from '@tanstack/react-query';
import { thresholdQuery } from '../../state/statistics-queries';
import type { AnswerValue, Subset, ThresholdReport } from '../../statistics/api';
import { useServices } from '../shared/services-context';

const wholeTable: Subset = {};

/** Where `value` tells right answers from wrong ones best; undefined until table and value are known and it is computed. */
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
