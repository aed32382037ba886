import { useMemo } from 'react';
import { type Choices, useChoices } from '../../state/choices';
import type { RunRecord, RunSnapshot } from '../../state/run-record';
import { type ShownFrame, selectFrame } from '../../state/shown-frame';
import { resolveSelection, type ShownMap, selectShownMap } from '../../state/token-selection';
import type { SetViewSettings, ViewSettings } from '../../state/view-settings';
import { useViewSettings } from '../../state/view-settings';
import { useServices } from './services-context';
import { useRunSnapshot } from './use-run';

/** The run on screen with what is selected in it: what stage, legend, answer and provenance all draw from. */
export interface Bench {
  readonly record: RunRecord;
  readonly run: RunSnapshot;
  /** Tokens that the selection means now. */
  readonly selected: readonly number[];
  readonly frame: ShownFrame;
  readonly map: ShownMap | undefined;
  /** Classification threshold in use, 0..1. */
  readonly threshold: number;
  readonly settings: ViewSettings;
  readonly setSettings: SetViewSettings;
}

const selectRunId = (choices: Choices) => choices.runId;
const selectSelection = (choices: Choices) => choices.selection;

/** Where a run has no head, there is no map to read and the threshold is only a slider's place. */
const thresholdWithoutHead = 0.5;

export function useBench(): Bench | undefined {
  const { library } = useServices();
  const [settings, setSettings] = useViewSettings();
  const runId = useChoices(selectRunId);
  const selection = useChoices(selectSelection);
  const record = runId === undefined ? undefined : library.get(runId);
  const run = useRunSnapshot(record);
  const selected = useMemo(
    () =>
      record && run
        ? resolveSelection(selection, run.tokens, (index) => record.mapOf(index), run.end !== undefined)
        : [],
    [record, run, selection],
  );
  const geometry = run?.header.geometry;
  const frame = useMemo(() => geometry && selectFrame(geometry, settings.frame), [geometry, settings.frame]);
  // `run` is among the dependencies because a new snapshot may have brought maps.
  const map = useMemo(
    () => record && run && frame && selectShownMap(selected, (index) => record.mapOf(index), frame.placement),
    [record, run, selected, frame],
  );
  if (record === undefined || run === undefined || frame === undefined) return undefined;
  const threshold = settings.threshold ?? run.header.head?.classificationThreshold ?? thresholdWithoutHead;
  return { record, run, selected, frame, map, threshold, settings, setSettings };
}
