import { useEffect, useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import { type Asking, useAsking } from '../../state/ask-session';
import { type CompareSettings, type SetCompareSettings, useCompareSettings } from '../../state/compare-settings';
import type { MapRequest } from '../../state/explain-session';
import { defaultPair, type Offer, selectOffers, usualPair } from '../../state/method-offers';
import type { Thresholds } from '../../state/panel-map';
import { leastCertain } from '../../state/token-selection';
import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import type { ShownRun } from '../shared/use-shown-run';

/** State shared by all panels, in addition to the shown run. */
export interface ShownComparison extends ShownRun {
  readonly offers: readonly Offer[];
  /** One method per panel, from left to right. */
  readonly panels: readonly MethodId[];
  /** The methods whose difference is shown, first minus second; undefined if there is only one panel. */
  readonly pair: readonly [MethodId, MethodId] | undefined;
  readonly stripMethod: MethodId;
  readonly thresholds: Thresholds;
  readonly compare: CompareSettings;
  readonly setCompare: SetCompareSettings;
}

/** Used if the run has no head that states its labelling threshold. */
const defaultLabellingThreshold = 0.3;

export function useShownComparison(shown: ShownRun): ShownComparison {
  const { source } = useServices();
  const status = useSourceStatus();
  const [compare, setCompare] = useCompareSettings();
  const { run } = shown;
  // biome-ignore lint/correctness/useExhaustiveDependencies: offers change with the status
  const offers = useMemo(() => selectOffers(run, source.offers(run.header)), [source, status, run]);
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
  const classification = shown.threshold;
  const share = compare.shareThreshold ?? run.header.head?.labellingThreshold ?? defaultLabellingThreshold;
  const thresholds = useMemo(() => ({ classification, share }), [classification, share]);
  return {
    ...shown,
    selected,
    offers,
    panels,
    pair: pairOf(compare.difference, panels),
    stripMethod: compare.strip ?? panels[0] ?? 'fastrm',
    thresholds,
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

const selectIsAsking = ({ asking }: { readonly asking: Asking }) => asking.phase !== 'idle';

/**
 * Requests the maps for the panels and the strip: each panel's selected tokens first, then the rest of the answer.
 * Pauses while a question is being asked.
 */
export function useRequestedMaps(shown: ShownComparison, isWeighing: boolean): void {
  const { explaining } = useServices();
  const isAsking = useAsking(selectIsAsking);
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
  useEffect(() => {
    if (isAsking) explaining.release();
    else explaining.request(record, requests);
  }, [explaining, record, requests, isAsking]);
  useEffect(() => () => explaining.release(), [explaining]);
}
