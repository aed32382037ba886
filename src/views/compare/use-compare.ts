import { useEffect, useMemo } from 'react';
import type { MethodId } from '../../contract/methods';
import { type Asking, useAsking } from '../../state/ask-session';
import { type CompareSettings, type SetCompareSettings, useCompareSettings } from '../../state/compare-settings';
import type { Want } from '../../state/explain-session';
import { defaultPair, type Offer, selectOffers, usualPair } from '../../state/method-offers';
import type { Thresholds } from '../../state/panel-map';
import { mostTelling } from '../../state/token-selection';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { useSourceStatus } from '../shared/use-run';

/** What all panels share, beside what every view has. */
export interface CompareBench extends Bench {
  readonly offers: readonly Offer[];
  /** A method a panel, from left to right. */
  readonly panels: readonly MethodId[];
  /** What is subtracted from what; undefined with one panel. */
  readonly pair: readonly [MethodId, MethodId] | undefined;
  readonly stripMethod: MethodId;
  readonly thresholds: Thresholds;
  readonly compare: CompareSettings;
  readonly setCompare: SetCompareSettings;
}

/** Where no head says at which share its labels were made. */
const usualLabellingThreshold = 0.3;

export function useCompare(bench: Bench): CompareBench {
  const { source } = useServices();
  const status = useSourceStatus();
  const [compare, setCompare] = useCompareSettings();
  const { record, run } = bench;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is offered changes with the status
  const offers = useMemo(() => selectOffers(run, record, source.offers(run.header)), [source, status, run, record]);
  // While the model loads nothing but FastRM's own maps can be had: what stands in for its teacher would only flash up.
  const isSettled = status.phase === 'ready' || status.phase === 'failed';
  const panels = useMemo(
    () => compare.methods ?? (isSettled ? defaultPair(offers) : usualPair),
    [compare.methods, isSettled, offers],
  );
  const selected = useMemo(
    () => (bench.selected.length > 0 || run.end === undefined ? bench.selected : mostTelling(run.tokens)),
    [bench.selected, run],
  );
  const classification = bench.threshold;
  const share = compare.shareThreshold ?? run.header.head?.labellingThreshold ?? usualLabellingThreshold;
  const thresholds = useMemo(() => ({ classification, share }), [classification, share]);
  return {
    ...bench,
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

/** The pair of the address while both of it are in sight. */
function pairOf(wanted: CompareSettings['difference'], panels: readonly MethodId[]): CompareBench['pair'] {
  if (wanted?.every((method) => panels.includes(method))) return [...wanted];
  const [first, second] = panels;
  return first !== undefined && second !== undefined ? [first, second] : undefined;
}

const selectIsAsking = ({ asking }: { readonly asking: Asking }) => asking.phase !== 'idle';

/** Has explained what is on screen: the selected tokens of each panel, then the rest of their answer. A question that is asked goes first. */
export function useWants(bench: CompareBench, isWeighing: boolean): void {
  const { explaining } = useServices();
  const isAsking = useAsking(selectIsAsking);
  const { record, run, selected, offers, panels, stripMethod } = bench;
  const methods = useMemo(
    () => [...new Set([...panels, stripMethod, ...(isWeighing ? (['dex-ar'] as const) : [])])],
    [panels, stripMethod, isWeighing],
  );
  const wants = useMemo(() => {
    const rest = run.tokens.map(({ index }) => index);
    return methods
      .filter((method) => offers.some((offer) => offer.method === method && offer.canExplain))
      .map((method): Want => ({ method, first: panels.includes(method) ? selected : [], rest }));
  }, [methods, panels, offers, run.tokens, selected]);
  useEffect(() => {
    if (isAsking) explaining.release();
    else explaining.want(record, wants);
  }, [explaining, record, wants, isAsking]);
  useEffect(() => () => explaining.release(), [explaining]);
}
