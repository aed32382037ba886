import { create } from 'zustand';
import type { Patch } from '../math/maps/patch-geometry';
import type { TokenSelection, TokenUnit } from './token-selection';

/** The user's choices for the answer on screen. Display settings are kept in the URL instead: see view-settings. */
export interface Choices {
  /** The run on screen; undefined until the first one is loaded. */
  readonly runId: string | undefined;
  readonly selection: TokenSelection;
  readonly unit: TokenUnit;
  /** The token that is hovered. */
  readonly pointedToken: number | undefined;
  readonly pointedPatch: Patch | undefined;
  readonly pickedPatch: Patch | undefined;
  /** The index of the image that the user switched to; undefined to show the one on which the map peaks. */
  readonly shownImage: number | undefined;
  /** The run for which DEX-AR's marks are computed even while its maps are not shown. */
  readonly weighedRun: string | undefined;
  showRun(runId: string): void;
  select(selection: TokenSelection): void;
  setUnit(unit: TokenUnit): void;
  pointToken(index: number | undefined): void;
  pointPatch(patch: Patch | undefined): void;
  pickPatch(patch: Patch | undefined): void;
  /** Forgets the patches, which are those of another image. */
  showImage(image: number | undefined): void;
  weighWords(runId: string): void;
}

export const useChoices = create<Choices>((set) => ({
  runId: undefined,
  selection: { kind: 'auto' },
  unit: 'token',
  pointedToken: undefined,
  pointedPatch: undefined,
  pickedPatch: undefined,
  shownImage: undefined,
  weighedRun: undefined,
  showRun: (runId) =>
    set({
      runId,
      selection: { kind: 'auto' },
      pointedToken: undefined,
      pointedPatch: undefined,
      pickedPatch: undefined,
      shownImage: undefined,
    }),
  select: (selection) => set({ selection }),
  setUnit: (unit) => set({ unit }),
  pointToken: (pointedToken) => set({ pointedToken }),
  pointPatch: (pointedPatch) => set({ pointedPatch }),
  pickPatch: (pickedPatch) => set({ pickedPatch }),
  showImage: (shownImage) => set({ shownImage, pointedPatch: undefined, pickedPatch: undefined }),
  weighWords: (weighedRun) => set({ weighedRun }),
}));
