import { useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import { type Choices, useChoices } from '../../state/choices';
import { type CompareSettings, type SetCompareSettings, useCompareSettings } from '../../state/compare-settings';
import type { MapRequest } from '../../state/explain-session';
import { defaultPair, usualPair } from '../../state/method-offers';
import { selectFrame, selectImage } from '../../state/shown-frame';
import { leastCertain } from '../../state/token-selection';
import { useMapRequests } from '../shared/use-map-requests';
import { useSourceStatus } from '../shared/use-run';
import type { ShownRun } from '../shared/use-shown-run';

/** State shared by all panels, in addition to the shown run. */
export interface ShownComparison extends ShownRun {
  /** One method per panel, from left to right. */
  readonly panels: readonly MethodId[];
  /** The methods whose difference is shown, first minus second; undefined if there is only one panel. */
  readonly pair: readonly [MethodId, MethodId] | undefined;
  readonly stripMethod: MethodId;
  readonly compare: CompareSettings;
  readonly setCompare: SetCompareSettings;
}

const selectShownImage = (choices: Choices) => choices.shownImage;

/** Of several images, all panels show the one on which the first panel's map peaks, unless the user switched. */
export function useShownComparison(shown: ShownRun): ShownComparison {
  const status = useSourceStatus();
  const [compare, setCompare] = useCompareSettings();
  const { run, offers } = shown;
  // While the model loads, only FastRM maps are available. Keep the usual pair: a substitute for FastRM's teacher
  // would be replaced as soon as the model is ready.
  const isSettled = status.phase === 'ready' || status.phase === 'failed';
  const panels = useMemo(
    () => compare.methods ?? (isSettled ? defaultPair(offers) : usualPair),
    [compare.methods, isSettled, offers],
  );
  const selected = useMemo(
    () => (shown.selected.length > 0 || run.end === undefined ? shown.selected : leastCertain(run.tokens)),
    [shown.selected, run],
  );
  const switchedTo = useChoices(selectShownImage);
  const [first = shown.method] = panels;
  const image = useMemo(
    () => selectImage(run, { method: first, indices: selected }, switchedTo),
    [run, first, selected, switchedTo],
  );
  const frame = useMemo(
    () => selectFrame(run.header, { name: shown.settings.frame, image }),
    [run.header, shown.settings.frame, image],
  );
  return {
    ...shown,
    selected,
    frame,
    panels,
    pair: pairOf(compare.difference, panels),
    stripMethod: compare.strip ?? panels[0] ?? 'fastrm',
    compare,
    setCompare,
  };
}

/** The pair from the URL if both methods have a panel, else the first two panels. */
function pairOf(requested: CompareSettings['difference'], panels: readonly MethodId[]): ShownComparison['pair'] {
  if (requested?.every((method) => panels.includes(method))) return [...requested];
  const [first, second] = panels;
  return first !== undefined && second !== undefined ? [first, second] : undefined;
}

/** Requests the maps for the panels and the strip: each panel's selected tokens first, then the rest of the answer. */
export function useRequestedMaps(shown: ShownComparison, isWeighing: boolean): void {
  const { record, run, selected, offers, panels, stripMethod } = shown;
  const methods = useMemo(
    () => [...new Set([...panels, stripMethod, ...(isWeighing ? (['dex-ar'] as const) : [])])],
    [panels, stripMethod, isWeighing],
  );
  const requests = useMemo(() => {
    const rest = run.tokens.map(({ index }) => index);
    return methods
      .filter((method) => offers.some((offer) => offer.method === method && offer.canExplain))
      .map((method): MapRequest => ({ method, first: panels.includes(method) ? selected : [], rest }));
  }, [methods, panels, offers, run.tokens, selected]);
  useMapRequests(record, requests);
}
