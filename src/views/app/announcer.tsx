import { isCut } from '../../contract/run';
import type { Bench } from '../shared/use-bench';

/** Reads an answer out once it is whole; word by word would be noise. */
export function Announcer({ bench }: { readonly bench: Bench | undefined }) {
  const end = bench?.run.end;
  const isSpoken = bench !== undefined && !bench.run.header.recorded && end !== undefined;
  return (
    <p className="visually-hidden" aria-live="polite">
      {isSpoken
        ? `${isCut(end) ? 'Partial answer' : 'Answer'}: ${bench.run.tokens.map((token) => token.text).join('')}`
        : ''}
    </p>
  );
}
