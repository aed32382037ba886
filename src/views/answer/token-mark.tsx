import { type ReactNode, useMemo } from 'react';
import { type MethodId, methodIds, methods } from '../../contract/methods';
import { selectTokenMarks, type TokenMarks } from '../../state/token-marks';
import type { Bench } from '../shared/use-bench';
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

/** What the marks above the words are, and of which method; nothing for those that are not there. */
export function MarksLegend(props: {
  readonly method: MethodId | undefined;
  readonly hasGrounding: boolean;
  readonly children?: ReactNode;
}) {
  const { method, hasGrounding, children } = props;
  return (
    <p className="marks-note">
      {method && (
        <span>
          <span className="marks-sample">
            <TokenMark imageShare={0.4} grounding={undefined} />
          </span>
          share of a word’s relevancy that lies on the image, not on other words ({methods[method].name})
        </span>
      )}
      {hasGrounding && (
        <span>
          <span className="marks-sample marks-dot">
            <TokenMark imageShare={undefined} grounding={0.5} />
          </span>
          how grounded a word is in the image, by DEX-AR: an empty ring is not at all
        </span>
      )}
      {children}
    </p>
  );
}

/** The method whose share on the image is marked, and the marks themselves, one a token. */
export interface MarkedTokens {
  readonly method: MethodId | undefined;
  readonly marks: readonly TokenMarks[];
}

/** From the maps that were looked at in this visit: of the first of `among` that weighs words and has. */
export function useTokenMarks(
  { record, run }: Pick<Bench, 'record' | 'run'>,
  among: readonly MethodId[] = methodIds,
): MarkedTokens {
  // `run` is among the dependencies because a new snapshot may have brought maps.
  return useMemo(() => {
    const method = among.find((one) => run.tokens.some(({ index }) => record.mapOf(index, one)?.text !== undefined));
    return { method, marks: selectTokenMarks(record, run.tokens.length, method) };
  }, [record, run, among]);
}
