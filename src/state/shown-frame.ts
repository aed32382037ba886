import type { Frame, FrameName, ImageGeometry } from '../contract/run';
import { type FramePlacement, framePlacement } from '../math/maps/patch-geometry';

/** The frame whose part of a map is on screen. */
export interface ShownFrame {
  readonly name: FrameName;
  readonly placement: FramePlacement;
  /** All that the run has, to choose among; the first is the one shown by default. */
  readonly all: readonly Frame[];
}

/** The frame of that name, or the run's first. */
export function selectFrame(geometry: ImageGeometry, wanted: FrameName | null): ShownFrame {
  const index = geometry.frames.findIndex(({ name }) => name === wanted);
  const shown = Math.max(0, index);
  const placement = framePlacement(geometry, shown);
  return { name: geometry.frames[shown]!.name, placement, all: geometry.frames };
}
