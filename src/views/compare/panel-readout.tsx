import { useMemo } from 'react';
import { ranksDescending, summariseMap } from '../../math/maps/map-values';
import { type Grid, patchAtIndex, patchIndex } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';

const selectPatch = (choices: Choices) => choices.pointedPatch ?? choices.pickedPatch;

/** Value and rank of the patch under the cursor in any panel, or of the peak. Always one line. */
export function PanelReadout(props: {
  readonly values: Float32Array | undefined;
  readonly grid: Grid;
  formatPatch(value: number): string;
}) {
  const { values, grid, formatPatch } = props;
  const patch = useChoices(selectPatch);
  const ranks = useMemo(() => values && ranksDescending(values), [values]);
  const summary = useMemo(() => values && summariseMap(values), [values]);
  if (values === undefined || ranks === undefined || summary === undefined) return <p className="panel-readout mono" />;
  if (patch === undefined && summary.min === summary.max) {
    return (
      <p className="panel-readout mono">
        <span>
          all {values.length} patches <strong>{formatPatch(summary.max)}</strong>
        </span>
      </p>
    );
  }
  const { row, col } = patch ?? patchAtIndex(grid, summary.maxIndex);
  const index = patchIndex(grid, { row, col });
  return (
    <p className="panel-readout mono">
      <span>
        {patch ? '' : 'peak '}r{row + 1} c{col + 1} <strong>{formatPatch(values[index] ?? 0)}</strong>
      </span>
      <span className="panel-rank">
        {patch ? `rank ${ranks[index]} of ${ranks.length}` : `${values.length} patches`}
      </span>
    </p>
  );
}
