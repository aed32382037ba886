import { isCut } from '../../contract/run';
import type { ShownRun } from '../shared/use-shown-run';

/** Announces an answer to screen readers once it is complete; announcing each token would be noise. */
export function Announcer({ shown }: { readonly shown: ShownRun | undefined }) {
  const end = shown?.run.end;
  const isSpoken = shown !== undefined && !shown.run.header.recorded && end !== undefined;
  return (
    <p className="visually-hidden" aria-live="polite">
      {isSpoken
        ? `${isCut(end) ? 'Partial answer' : 'Answer'}: ${shown.run.tokens.map((token) => token.text).join('')}`
        : ''}
    </p>
  );
}
