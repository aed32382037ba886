import type { OpenCalibration } from '../../state/statistics-queries';
import { formatCount, formatWhole } from '../../text/number-format';

/** Provenance lines for a saved chart: what was counted, and how the calibration was made. */
export function calibrationProvenance({ loaded, name }: OpenCalibration, what: readonly string[]): string[] {
  const { facts, rows, right, wrong } = loaded;
  return [
    what.join(' · '),
    `${name}: ${formatCount(rows, 'answer', 'answers')}, ${formatWhole(right)} right, ${formatWhole(wrong)} wrong`,
    ...(facts
      ? [
          `model ${facts.model.name} ${facts.model.revision}, head ${facts.head.name} ${facts.head.revision}`,
          `made ${facts.createdAt} by ${facts.command}`,
        ]
      : ['the file does not name its model']),
    'Patchlight',
  ];
}
