import { type ReactNode, useMemo } from 'react';
import { type MethodId, methodIds, methods } from '../../contract/methods';
import { selectTokenMarks, type TokenMarks } from '../../state/token-marks';
import type { ShownRun } from '../shared/use-shown-run';
import './token-mark.css';

/**
 * Marks above a token: its image share as a bar, and its DEX-AR grounding weight as a dot in a ring; an empty ring means
 * zero. The token's accessible name has both numbers.
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

/** Explains the marks that are shown above the words, and names their method. */
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
          share of a word’s relevancy that lies on the image rather than on other words ({methods[method].name})
        </span>
      )}
      {hasGrounding && (
        <span>
          <span className="marks-sample marks-dot">
            <TokenMark imageShare={undefined} grounding={0.5} />
          </span>
          how strongly a word depends on the image, according to DEX-AR; an empty ring means not at all
        </span>
      )}
      {children}
    </p>
  );
}

/** The marks per token, and the method that their image shares come from. */
export interface MarkedTokens {
  readonly method: MethodId | undefined;
  readonly marks: readonly TokenMarks[];
}

/**
 * Token marks from the first method in `among` that shares relevancy between the image and this run's words and has
 * been computed during this visit.
 */
export function useTokenMarks({ run }: Pick<ShownRun, 'run'>, among: readonly MethodId[] = methodIds): MarkedTokens {
  return useMemo(() => {
    const method = among.find(
      (one) =>
        methods[one].words === 'shares' && run.tokens.some(({ index }) => run.mapOf(index, one)?.text !== undefined),
    );
    return { method, marks: selectTokenMarks(run, run.tokens.length, method) };
  }, [run, among]);
}
