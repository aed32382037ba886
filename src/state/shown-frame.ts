import type { Frame, FrameName, ImageGeometry } from '../contract/run';
import { type FramePlacement, framePlacement } from '../math/maps/patch-geometry';

/** The frame on screen. */
export interface ShownFrame {
  readonly name: FrameName;
  readonly placement: FramePlacement;
  /** All frames of the run; the first is the default. */
  readonly all: readonly Frame[];
}

/** The frame called `name`, or the run's first. */
export function selectFrame(geometry: ImageGeometry, name: FrameName | null): ShownFrame {
  const index = geometry.frames.findIndex((frame) => frame.name === name);
  const shown = Math.max(0, index);
  const placement = framePlacement(geometry, shown);
  return { name: geometry.frames[shown]!.name, placement, all: geometry.frames };
}
