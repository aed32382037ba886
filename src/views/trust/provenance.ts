import type { OpenCalibration } from '../../state/statistics-queries';
import { formatWhole } from '../../text/number-format';

/** A line each, for a chart's files: what was counted, and how the table came about. */
export function calibrationProvenance({ loaded, name }: OpenCalibration, what: readonly string[]): string[] {
  const { facts, rows, right, wrong } = loaded;
  return [
    what.join(' · '),
    `${name}: ${formatWhole(rows)} answers, ${formatWhole(right)} right, ${formatWhole(wrong)} wrong`,
    ...(facts
      ? [
          `model ${facts.model.name} ${facts.model.revision}, head ${facts.head.name} ${facts.head.revision}`,
          `made ${facts.createdAt} by ${facts.command}`,
        ]
      : ['the file does not say of which model']),
    'Patchlight',
  ];
}
