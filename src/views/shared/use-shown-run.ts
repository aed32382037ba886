import { useMemo } from 'react';
import { type Choices, useChoices } from '../../state/choices';
import type { RunRecord, RunSnapshot } from '../../state/run-record';
import { type ShownFrame, selectFrame } from '../../state/shown-frame';
import { resolveSelection, type ShownMap, selectShownMap } from '../../state/token-selection';
import type { SetViewSettings, ViewSettings } from '../../state/view-settings';
import { useViewSettings } from '../../state/view-settings';
import { useServices } from './services-context';
import { useRunSnapshot } from './use-run';

/** The run on screen and its selection, shared by the stage, legend, answer and provenance. */
export interface ShownRun {
  readonly record: RunRecord;
  readonly run: RunSnapshot;
  /** Token indices that the current selection resolves to. */
  readonly selected: readonly number[];
  readonly frame: ShownFrame;
  readonly map: ShownMap | undefined;
  /** Classification threshold in use, from 0 to 1. */
  readonly threshold: number;
  readonly settings: ViewSettings;
  readonly setSettings: SetViewSettings;
}

const selectRunId = (choices: Choices) => choices.runId;
const selectSelection = (choices: Choices) => choices.selection;

/** Slider position for a run without a head, which has no map to threshold. */
const thresholdWithoutHead = 0.5;

export function useShownRun(): ShownRun | undefined {
  const { library } = useServices();
  const [settings, setSettings] = useViewSettings();
  const runId = useChoices(selectRunId);
  const selection = useChoices(selectSelection);
  const record = runId === undefined ? undefined : library.get(runId);
  const run = useRunSnapshot(record);
  const selected = useMemo(
    () => (run ? resolveSelection(selection, run.tokens, run.mapOf, run.end !== undefined) : []),
    [run, selection],
  );
  const geometry = run?.header.geometry;
  const frame = useMemo(() => geometry && selectFrame(geometry, settings.frame), [geometry, settings.frame]);
  const map = useMemo(
    () => run && frame && selectShownMap(selected, run.mapOf, frame.placement),
    [run, selected, frame],
  );
  if (record === undefined || run === undefined || frame === undefined) return undefined;
  const threshold = settings.threshold ?? run.header.head?.classificationThreshold ?? thresholdWithoutHead;
  return { record, run, selected, frame, map, threshold, settings, setSettings };
}
