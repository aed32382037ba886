import { useEffect } from 'react';
import { type Asking, useAsking } from '../../state/ask-session';
import type { MapRequest } from '../../state/explain-session';
import type { RunRecord } from '../../state/run-record';
import { useServices } from './services-context';

const selectIsAsking = ({ asking }: { readonly asking: Asking }) => asking.phase !== 'idle';

/** Has the missing maps computed while the view is on screen; pauses while a question is being asked. */
export function useMapRequests(record: RunRecord, requests: readonly MapRequest[]): void {
  const { explaining } = useServices();
  const isAsking = useAsking(selectIsAsking);
  useEffect(() => {
    if (isAsking) explaining.release();
    else explaining.request(record, requests);
  }, [explaining, record, requests, isAsking]);
  useEffect(() => () => explaining.release(), [explaining]);
}
