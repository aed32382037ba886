import { useMemo } from 'react';
import { methodIds } from '../contract/methods';
import { markingMethod, selectTokenMarks, type TokenMarks } from '../state/token-marks';
import type { Bench } from './use-bench';
import './token-mark.css';

/**
 * Above a token: how much of its relevancy lies on the image, as a bar that fills from the left, and DEX-AR's grounding
 * weight, as a dot that grows; a ring without filling is a weight of nothing. The token's own name says both in numbers.
 */
export function TokenMark({ imageShare, grounding }: TokenMarks) {
  if (imageShare === undefined && grounding === undefined) return null;
  return (
    <span className="token-mark" aria-hidden="true">
      {grounding !== undefined && (
        <svg viewBox="-5 -5 10 10" aria-hidden="true">
          <circle r="4" />
          <circle className="token-mark-fill" r={4 * Math.sqrt(grounding)} />
        </svg>
      )}
      {imageShare !== undefined && (
        <span className="token-mark-bar">
          <span style={{ width: `${imageShare * 100}%` }} />
        </span>
      )}
    </span>
  );
}

/** From the maps that were looked at in this visit; of the method `from`, else of whichever has weighed words. */
export function useTokenMarks({ record, run }: Pick<Bench, 'record' | 'run'>, from?: ReturnType<typeof markingMethod>) {
  // `run` is among the dependencies because a new snapshot may have brought maps.
  return useMemo(() => {
    const known = methodIds.filter((method) =>
      run.tokens.some(({ index }) => record.mapOf(index, method)?.text !== undefined),
    );
    return selectTokenMarks(record, run.tokens.length, from ?? markingMethod(known));
  }, [record, run, from]);
}
