import { type Choices, useChoices } from '../../state/choices';
import { formatCount, formatProbability } from '../../text/number-format';
import { shortened } from '../../text/visible-text';
import type { ShownRun } from '../shared/use-shown-run';
import { entropyNames, formatNats } from '../trust/trust-words';
import { useTokenNats } from '../trust/use-answer-trust';

const selectPointed = (choices: Choices) => choices.pointedToken;

const shownAlternatives = 5;

/** The most likely alternatives to the hovered token, or otherwise to the selected token. */
export function TokenInspector({ shown }: { readonly shown: ShownRun }) {
  const pointed = useChoices(selectPointed);
  const { run, selected } = shown;
  const index = pointed ?? (selected.length === 1 ? selected[0] : undefined);
  const token = index === undefined ? undefined : run.tokens[index];
  if (token === undefined)
    return <div className="inspector">{selected.length > 1 && <SeveralTokens shown={shown} />}</div>;
  return (
    <div className="inspector">
      <p className="inspector-head">
        <span>
          Token {token.index + 1} of {run.tokens.length}
        </span>
        <strong title={token.text.trim()}>{shortened(token.text.trim())}</strong>
        <span className="mono">{formatProbability(token.logProb)}</span>
        <TokenEntropy shown={shown} index={token.index} />
      </p>
      <ol className="alternatives" aria-label="Most likely tokens at this position">
        {token.alternatives.slice(0, shownAlternatives).map((alternative) => (
          <li
            key={alternative.tokenId}
            className="alternative"
            data-chosen={alternative.tokenId === token.tokenId || undefined}
          >
            <span className="alternative-text" title={alternative.text.trim()}>
              {alternative.text.trim() || '␣'}
            </span>
            <span className="alternative-bar" aria-hidden="true">
              <span className="alternative-fill" style={{ width: `${Math.exp(alternative.logProb) * 100}%` }} />
            </span>
            <span className="mono">{formatProbability(alternative.logProb)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** Entropy of the token's map, using the kind of entropy chosen for the answer. */
function TokenEntropy({ shown, index }: { readonly shown: ShownRun; readonly index: number }) {
  const { kind, nats: all } = useTokenNats(shown);
  const nats = all?.[index];
  if (nats === undefined || !Number.isFinite(nats)) return null;
  return (
    <span className="inspector-entropy" title={`${entropyNames[kind]} entropy of the token’s map`}>
      entropy <span className="mono">{formatNats(nats)}</span> nats
    </span>
  );
}

function SeveralTokens({ shown }: { readonly shown: ShownRun }) {
  const { run, selected } = shown;
  const tokens = selected.map((index) => run.tokens[index]).filter((token) => token !== undefined);
  const joint = tokens.reduce((sum, token) => sum + token.logProb, 0);
  const weakest = tokens.reduce((a, b) => (b.logProb < a.logProb ? b : a));
  return (
    <>
      <p className="inspector-head">
        <strong>{formatCount(tokens.length, 'token', 'tokens')}</strong>
        <span>
          joint probability <span className="mono">{formatProbability(joint)}</span>
        </span>
      </p>
      <p>
        The map is the unweighted mean of their maps. Least certain: <strong>{shortened(weakest.text.trim())}</strong>{' '}
        <span className="mono">{formatProbability(weakest.logProb)}</span>.
      </p>
    </>
  );
}
