import { type KeyboardEvent, type PointerEvent, useId, useMemo } from 'react';
import { ranksDescending, summariseMap } from '../../math/maps/map-values';
import {
  type Patch,
  type Placement,
  patchAfterKey,
  patchAtIndex,
  patchAtPoint,
  patchIndex,
} from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { formatValue } from '../../text/number-format';

const selectPointed = (choices: Choices) => choices.pointedPatch;
const selectPicked = (choices: Choices) => choices.pickedPatch;

interface PatchGridProps {
  /** One value per patch, row-major over the placement's grid. */
  readonly values: Float32Array;
  readonly placement: Placement;
  /** Accessible name of the grid, which also explains its keys. */
  readonly label: string;
  /** Formats a patch value; two decimals by default. */
  readonly formatPatch?: (value: number) => string;
}

/** Pointer and keyboard access to the patches. The ARIA grid renders only the current cell, not all 576. */
export function PatchGrid({ values, placement, label, formatPatch = formatValue }: PatchGridProps) {
  const { grid, crop } = placement;
  const cellId = useId();
  const pointed = useChoices(selectPointed);
  const picked = useChoices(selectPicked);
  const { pointPatch, pickPatch } = useChoices.getState();
  const ranks = useMemo(() => ranksDescending(values), [values]);
  const current = pointed ?? picked;

  const patchUnder = (event: PointerEvent<HTMLElement>): Patch | undefined => {
    const box = event.currentTarget.getBoundingClientRect();
    const xPx = crop.xPx + ((event.clientX - box.left) / box.width) * crop.widthPx;
    const yPx = crop.yPx + ((event.clientY - box.top) / box.height) * crop.heightPx;
    return patchAtPoint(placement, xPx, yPx);
  };
  const togglePick = (patch: Patch | undefined) => pickPatch(patch && isSame(patch, picked) ? undefined : patch);
  const labelOf = (patch: Patch) => {
    const index = patchIndex(grid, patch);
    const value = formatPatch(values[index] ?? 0);
    return `row ${patch.row + 1}, column ${patch.col + 1}: ${value}, rank ${ranks[index]} of ${ranks.length}`;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const from = current ?? patchAtIndex(grid, summariseMap(values).maxIndex);
    if (event.key === 'Enter' || event.key === ' ') togglePick(from);
    else {
      const next = patchAfterKey(grid, from, event.key);
      if (next === undefined) return;
      pointPatch(current === undefined ? from : next);
    }
    event.preventDefault();
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: an overlay on an image, not a table of 576 cells
    <div
      className="patch-grid"
      role="grid"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={grid.rows}
      aria-colcount={grid.cols}
      aria-activedescendant={current ? cellId : undefined}
      onKeyDown={onKeyDown}
      onFocus={(event) => {
        const isByKeyboard = event.currentTarget.matches(':focus-visible');
        if (isByKeyboard && !current) pointPatch(patchAtIndex(grid, summariseMap(values).maxIndex));
      }}
      onBlur={() => pointPatch(undefined)}
      onPointerMove={(event) => {
        const patch = patchUnder(event);
        if (!isSame(patch, useChoices.getState().pointedPatch)) pointPatch(patch);
      }}
      onPointerLeave={() => pointPatch(undefined)}
      onClick={(event) => togglePick(patchUnder(event as unknown as PointerEvent<HTMLElement>))}
    >
      {picked && !isSame(picked, current) && <Cursor patch={picked} placement={placement} isPicked />}
      {current && (
        // biome-ignore lint/a11y/useSemanticElements: as above
        // biome-ignore lint/a11y/useFocusableInteractive: the grid keeps the focus and refers to this cell
        <div role="row" aria-rowindex={current.row + 1}>
          <Cursor
            patch={current}
            placement={placement}
            isPicked={isSame(current, picked)}
            cell={{ id: cellId, label: labelOf(current) }}
          />
        </div>
      )}
    </div>
  );
}

function isSame(a: Patch | undefined, b: Patch | undefined): boolean {
  return a?.row === b?.row && a?.col === b?.col;
}

function Cursor(props: {
  readonly patch: Patch;
  readonly placement: Placement;
  readonly isPicked: boolean;
  readonly cell?: { readonly id: string; readonly label: string };
}) {
  const { patch, isPicked, cell } = props;
  const { rows, cols } = props.placement.grid;
  const style = {
    left: `${(patch.col / cols) * 100}%`,
    top: `${(patch.row / rows) * 100}%`,
    width: `${100 / cols}%`,
    height: `${100 / rows}%`,
  };
  const picked = isPicked || undefined;
  if (cell === undefined) return <div className="patch-cursor" data-picked={picked} style={style} aria-hidden="true" />;
  return (
    // biome-ignore lint/a11y/useSemanticElements: as in the grid
    // biome-ignore lint/a11y/useFocusableInteractive: as in the grid
    <div
      className="patch-cursor"
      id={cell.id}
      role="gridcell"
      aria-colindex={patch.col + 1}
      aria-selected={isPicked}
      aria-label={cell.label}
      data-picked={picked}
      style={style}
    />
  );
}
