import { create } from 'zustand';
import type { Patch } from '../math/maps/patch-geometry';
import type { TokenSelection, TokenUnit } from './token-selection';

/** What the user chose about the answer on screen. How maps are drawn lives in the address instead: see view-settings. */
export interface Choices {
  /** The run on screen; undefined until the first one is there. */
  readonly runId: string | undefined;
  readonly selection: TokenSelection;
  readonly unit: TokenUnit;
  /** Token under the pointer or the focus. */
  readonly pointedToken: number | undefined;
  readonly pointedPatch: Patch | undefined;
  readonly pickedPatch: Patch | undefined;
  /** The run whose words DEX-AR is to weigh, whether its maps are in sight or not. */
  readonly weighedRun: string | undefined;
  showRun(runId: string): void;
  select(selection: TokenSelection): void;
  setUnit(unit: TokenUnit): void;
  pointToken(index: number | undefined): void;
  pointPatch(patch: Patch | undefined): void;
  pickPatch(patch: Patch | undefined): void;
  weighWords(runId: string): void;
}

export const useChoices = create<Choices>((set) => ({
  runId: undefined,
  selection: { kind: 'auto' },
  unit: 'token',
  pointedToken: undefined,
  pointedPatch: undefined,
  pickedPatch: undefined,
  weighedRun: undefined,
  showRun: (runId) =>
    set({
      runId,
      selection: { kind: 'auto' },
      pointedToken: undefined,
      pointedPatch: undefined,
      pickedPatch: undefined,
    }),
  select: (selection) => set({ selection }),
  setUnit: (unit) => set({ unit }),
  pointToken: (pointedToken) => set({ pointedToken }),
  pointPatch: (pointedPatch) => set({ pointedPatch }),
  pickPatch: (pickedPatch) => set({ pickedPatch }),
  weighWords: (weighedRun) => set({ weighedRun }),
}));
