import { useMemo } from 'react';
import { ranksDescending, summariseMap } from '../../math/map-values';
import { type Grid, patchAtIndex, patchIndex } from '../../math/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';

const selectPatch = (choices: Choices) => choices.pointedPatch ?? choices.pickedPatch;

/** The value and rank of the patch pointed at in any panel; of the peak while none is. One line, always. */
export function PanelReadout(props: {
  readonly values: Float32Array | undefined;
  readonly grid: Grid;
  formatPatch(value: number): string;
}) {
  const { values, grid, formatPatch } = props;
  const patch = useChoices(selectPatch);
  const ranks = useMemo(() => values && ranksDescending(values), [values]);
  const peak = useMemo(() => values && summariseMap(values).maxIndex, [values]);
  if (values === undefined || ranks === undefined || peak === undefined) return <p className="panel-readout mono" />;
  const { row, col } = patch ?? patchAtIndex(grid, peak);
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
