import { useEffect, useRef, useState } from 'react';
import { methods } from '../../contract/methods';
import { isCut } from '../../contract/run';
import type { ShownRun } from '../shared/use-shown-run';

/** Announces an answer once it is complete, because announcing each token would be noise, and a map that was waited for. */
export function Announcer({ shown }: { readonly shown: ShownRun | undefined }) {
  const end = shown?.run.end;
  const isSpoken = shown !== undefined && !shown.run.header.recorded && end !== undefined;
  const ready = useReadyMap(shown);
  return (
    <>
      <p className="visually-hidden" aria-live="polite">
        {isSpoken
          ? `${isCut(end) ? 'Partial answer' : 'Answer'}: ${shown.run.tokens.map((token) => token.text).join('')}`
          : ''}
      </p>
      <p className="visually-hidden" aria-live="polite">
        {ready}
      </p>
    </>
  );
}

/** Says that the selected tokens' map is ready if it was not when it was requested; otherwise empty. */
function useReadyMap(shown: ShownRun | undefined): string {
  const [text, setText] = useState('');
  const awaited = useRef<string | undefined>(undefined);
  const isComplete = shown?.run.end !== undefined && shown.selected.length > 0;
  const isRequested = shown?.offers.some((offer) => offer.method === shown.method && offer.canExplain) ?? false;
  const isReady = shown?.map !== undefined && shown.map.missing.length === 0;
  const request =
    shown && isComplete && isRequested ? `${shown.record.id} ${shown.method} ${shown.selected}` : undefined;
  const name = shown && methods[shown.method].name;
  useEffect(() => {
    if (isReady && request !== undefined && awaited.current === request) setText(`The map by ${name} is ready.`);
    else setText('');
    awaited.current = isReady ? undefined : request;
  }, [isReady, request, name]);
  return text;
}
