import { useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import type { RunHeader } from '../../contract/run';
import { type Choices, useChoices } from '../../state/choices';
import { defaultMethod, type Offer, selectOffers, shownMethod } from '../../state/method-offers';
import { type PanelMap, selectPanelMap, type Thresholds, thresholdOf, usualThresholds } from '../../state/panel-map';
import type { RunRecord, RunSnapshot } from '../../state/run-record';
import { type ShownFrame, selectFrame, selectImage } from '../../state/shown-frame';
import { resolveSelection } from '../../state/token-selection';
import type { SetViewSettings, ViewSettings } from '../../state/view-settings';
import { useViewSettings } from '../../state/view-settings';
import { useServices } from './services-context';
import { useRunSnapshot, useSourceStatus } from './use-run';

/** The run on screen and its selection, shared by the stage, legend, answer and provenance. */
export interface ShownRun {
  readonly record: RunRecord;
  readonly run: RunSnapshot;
  /** Token indices that the current selection resolves to. */
  readonly selected: readonly number[];
  readonly frame: ShownFrame;
  /** All methods, and whether this run can have their maps. */
  readonly offers: readonly Offer[];
  /** The method of `map`, or of the map that is not there yet. */
  readonly method: MethodId;
  /** The mean of the selected tokens' maps. */
  readonly map: PanelMap | undefined;
  readonly thresholds: Thresholds;
  /** In the unit of the method: a probability, or a share of the map's maximum. */
  readonly threshold: number;
  readonly settings: ViewSettings;
  readonly setSettings: SetViewSettings;
}

const selectRunId = (choices: Choices) => choices.runId;
const selectSelection = (choices: Choices) => choices.selection;
const selectShownImage = (choices: Choices) => choices.shownImage;

export function useShownRun(): ShownRun | undefined {
  const { library, source } = useServices();
  const status = useSourceStatus();
  const [settings, setSettings] = useViewSettings();
  const runId = useChoices(selectRunId);
  const selection = useChoices(selectSelection);
  const switchedTo = useChoices(selectShownImage);
  const record = runId === undefined ? undefined : library.get(runId);
  const run = useRunSnapshot(record);
  // biome-ignore lint/correctness/useExhaustiveDependencies: offers change with the status
  const offers = useMemo(
    () => (run ? selectOffers(run, source.offers(run.header, run.states)) : []),
    [source, status, run],
  );
  const isSettled = status.phase === 'ready' || status.phase === 'failed';
  const method = run === undefined ? 'fastrm' : shownMethod(settings.method, run.header, offers, isSettled);
  const canExplain = offers.some((offer) => offer.method === method && offer.canExplain);
  const selected = useMemo(
    () =>
      run ? resolveSelection(selection, run.tokens, mappedTokens(run, method, canExplain), run.end !== undefined) : [],
    [run, selection, method, canExplain],
  );
  const header = run?.header;
  const image = useMemo(
    () => run && selectImage(run, { method, indices: selected }, switchedTo),
    [run, method, selected, switchedTo],
  );
  const frame = useMemo(
    () => header && selectFrame(header, { name: settings.frame, image }),
    [header, settings.frame, image],
  );
  const thresholds = useThresholds(header, offers, settings);
  const map = useMemo(() => {
    if (run === undefined || frame === undefined) return undefined;
    const how = { method, indices: selected, pool: 'mean', scale: 'given', thresholds } as const;
    const drawing = selectPanelMap(run, { ...how, frame: frame.placement });
    return drawing.kind === 'map' ? drawing.map : undefined;
  }, [run, method, selected, frame, thresholds]);
  if (record === undefined || run === undefined || frame === undefined) return undefined;
  const threshold = thresholdOf(method, thresholds);
  return { record, run, selected, frame, offers, method, map, thresholds, threshold, settings, setSettings };
}

/** Those that the user chose, else the usual ones. */
function useThresholds(
  header: RunHeader | undefined,
  offers: readonly Offer[],
  { threshold, paperThreshold, plusThreshold, shareThreshold }: ViewSettings,
): Thresholds {
  const usual = usualThresholds({ head: header?.head }, offers);
  const fastrm = threshold ?? usual.classification.fastrm;
  const paper = paperThreshold ?? usual.classification['fastrm-paper'];
  const plus = plusThreshold ?? usual.classification['fastrm-plus'];
  const share = shareThreshold ?? usual.share;
  return useMemo(
    () => ({ classification: { fastrm, 'fastrm-paper': paper, 'fastrm-plus': plus }, share }),
    [fastrm, paper, plus, share],
  );
}

/**
 * The tokens that may be selected without a choice by the user: those that have a map, or, if the method computes maps
 * on request, all tokens of a complete answer. While an answer streams, the maps that come with it count too.
 */
function mappedTokens(run: RunSnapshot, method: MethodId, canExplain: boolean): (index: number) => boolean {
  if (run.end !== undefined && canExplain) return () => true;
  const streamed = defaultMethod(run.header);
  return (index) =>
    run.mapOf(index, method) !== undefined || (run.end === undefined && run.mapOf(index, streamed) !== undefined);
}
