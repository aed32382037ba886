import { useMemo } from 'react';
import { needsModelPass } from '../../contract/methods';
import type { MapRequest } from '../../state/explain-session';
import { useMapRequests } from '../shared/use-map-requests';
import type { ShownRun } from '../shared/use-shown-run';

/**
 * Requests the selected tokens' maps by the method on screen. The rest of the answer follows only if its maps cost no
 * pass of the model.
 */
export function useRequestedMap({ record, run, method, offers, selected }: ShownRun): void {
  const canExplain = offers.some((offer) => offer.method === method && offer.canExplain);
  const isCheap = !needsModelPass(method);
  const requests = useMemo((): readonly MapRequest[] => {
    if (!canExplain) return [];
    return [{ method, first: selected, rest: isCheap ? run.tokens.map(({ index }) => index) : [] }];
  }, [canExplain, method, selected, isCheap, run.tokens]);
  useMapRequests(record, requests);
}
