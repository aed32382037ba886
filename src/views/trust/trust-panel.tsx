import { useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import { Button, Disclosure, DisclosurePanel } from 'react-aria-components';
import { answerLogProb } from '../../state/answer-trust';
import { leastCertain } from '../../state/token-selection';
import { formatProbability, unbroken } from '../../text/number-format';
import { shortened, signOf } from '../../text/visible-text';
import type { ShownRun } from '../shared/use-shown-run';
import { formatNats, likeSentence } from './trust-words';
import { type AnswerTrust, useAnswerTrust } from './use-answer-trust';
import './trust-panel.css';

/** One sentence on how many answers like this one were right; expands to show the evidence. */
export function TrustPanel(props: {
  readonly shown: ShownRun;
  readonly isOpen: boolean;
  onOpen(isOpen: boolean): void;
}) {
  const { shown, isOpen, onOpen } = props;
  const trust = useAnswerTrust(shown);
  const titleId = useId();
  const hasEvidence = trust.calibration !== undefined && trust.choice !== undefined && trust.entropyNats !== undefined;
  return (
    <Disclosure className="trust-panel" isDisabled={!hasEvidence} isExpanded={isOpen} onExpandedChange={onOpen}>
      {({ isExpanded }) => (
        <>
          <div className="trust-panel-head">
            <h2 id={titleId} className="eyebrow">
              How far to trust this answer
            </h2>
            <Button slot="trigger" className="link-button trust-panel-toggle">
              {isExpanded ? 'Hide the evidence' : 'Show the evidence'}
            </Button>
          </div>
          {shown.run.header.head === undefined && <LogProbability shown={shown} />}
          <TrustSentence trust={trust} />
          <DisclosurePanel aria-labelledby={titleId}>
            {isExpanded && hasEvidence && <LazyEvidence shown={shown} trust={trust} />}
          </DisclosurePanel>
        </>
      )}
    </Disclosure>
  );
}

/** The answer's mean log-probability, which needs no map. */
function LogProbability({ shown: { run } }: { readonly shown: ShownRun }) {
  if (run.end === undefined || run.tokens.length === 0) return <p className="trust-sentence" />;
  const [index] = leastCertain(run.tokens);
  const weakest = run.tokens[index!]!;
  return (
    <p className="trust-sentence">
      Mean log-probability <span className="mono">{formatNats(answerLogProb(run))}</span> nats per token. Least certain:{' '}
      <strong>{signOf(weakest.text)?.name ?? shortened(weakest.text.trim())}</strong>{' '}
      <span className="mono">{formatProbability(weakest.logProb)}</span>.
    </p>
  );
}

function TrustSentence({ trust }: { readonly trust: AnswerTrust }) {
  const { comparable, like, problem } = trust;
  if (comparable.kind === 'waiting') return <p className="trust-sentence">{comparable.why}</p>;
  if (comparable.kind === 'no')
    return (
      <p className="trust-sentence">
        {comparable.why}{' '}
        {comparable.isMakeable && (
          <span>
            <code className="mono">patchlight evaluate</code> writes a calibration for your model.
          </span>
        )}
      </p>
    );
  return <p className="trust-sentence">{like ? unbroken(likeSentence(like.entropy, 'entropy')) : (problem ?? ' ')}</p>;
}

/** The evidence charts, loaded when first opened. */
function LazyEvidence(props: { readonly shown: ShownRun; readonly trust: AnswerTrust }) {
  const view = useQuery({
    queryKey: ['view', 'trust-evidence'],
    queryFn: async () => ({ View: (await import('./trust-evidence')).TrustEvidence }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
    retry: false,
  });
  if (view.error) return <p role="alert">This part of the page could not be loaded ({view.error.message}).</p>;
  return view.data ? <view.data.View {...props} /> : null;
}
