import { memo, useEffect, useMemo, useRef, useState } from 'react';
import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { methodIds } from '../../contract/methods';
import { isCut, type RunEnd, type RunHeader } from '../../contract/run';
import { patchIndex } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { readValues } from '../../state/panel-map';
import type { RunSnapshot } from '../../state/run-record';
import { pickToken } from '../../state/token-selection';
import { useServices } from '../shared/services-context';
import type { ShownRun } from '../shared/use-shown-run';
import { TrustPanel } from '../trust/trust-panel';
import { useTokenNats } from '../trust/use-answer-trust';
import { AnswerTokens } from './answer-tokens';
import { HeadNotice } from './head-notice';
import { Provenance } from './provenance';
import { TokenInspector } from './token-inspector';
import { MarksLegend, useTokenMarks } from './token-mark';
import './answer.css';

const selectUnit = (choices: Choices) => choices.unit;
const selectPicked = (choices: Choices) => choices.pickedPatch;
const selectIsWhole = (choices: Choices) => choices.selection.kind === 'answer';

export function Answer({ shown }: { readonly shown: ShownRun }) {
  const { run, record, selected, frame, method, threshold } = shown;
  const unit = useChoices(selectUnit);
  const picked = useChoices(selectPicked);
  const { header, tokens, end } = run;
  const markPatch = picked && frame.placement.first + patchIndex(frame.placement.grid, picked);

  const methodsInOrder = useMemo(() => [method, ...methodIds.filter((one) => one !== method)], [method]);
  const { method: markMethod, marks } = useTokenMarks(shown, methodsInOrder);
  // A token without a map is marked only if it cannot get one.
  const isOnRequest = shown.offers.some((offer) => offer.method === method && (offer.canExplain || offer.refusal));
  const isOnPatch = (index: number) => {
    const map = markPatch === undefined ? undefined : run.mapOf(index, method);
    return map !== undefined && (readValues(map)[markPatch!] ?? 0) >= threshold;
  };
  const hasGrounding = marks.some(({ grounding }) => grounding !== undefined);
  const { nats } = useTokenNats(shown);
  const [isEvidenceOpen, setIsEvidenceOpen] = useState(false);

  return (
    <section className="answer" aria-label="Answer">
      <p className="eyebrow">{answerKind(run)}</p>
      <QuestionHeading key={record.id} header={header} />
      <AnswerTokens
        tokens={tokens}
        selected={selected}
        unit={unit}
        hasMap={(index) => run.mapOf(index, method) !== undefined || isOnRequest}
        isOnPatch={isOnPatch}
        marks={marks}
        entropiesNats={nats}
        areEntropiesShown={isEvidenceOpen}
        isStreaming={end === undefined}
      />
      {(markMethod || hasGrounding) && <MarksLegend method={markMethod} hasGrounding={hasGrounding} />}
      <div className="answer-tools">
        <UnitChoice />
        <AnswerHint shown={shown} />
      </div>
      <HeadNotice shown={shown} />
      <TokenInspector shown={shown} />
      <Provenance shown={shown} />
      <TrustPanel shown={shown} isOpen={isEvidenceOpen} onOpen={setIsEvidenceOpen} />
    </section>
  );
}

/**
 * The question above its answer. A new question scrolls into view, because on a phone the answer is above the question
 * box.
 */
export function QuestionHeading({ header }: { readonly header: RunHeader }) {
  const { question, askedAs, recorded: isRecorded } = header;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isRecorded) heading.current?.scrollIntoView({ block: 'nearest' });
  }, [isRecorded]);
  return (
    <>
      <h2 ref={heading} className="answer-question" tabIndex={-1}>
        {question}
      </h2>
      {askedAs !== undefined && <p className="answer-asked">Asked as “{askedAs}”, in the model’s own words.</p>}
    </>
  );
}

/** Sets what a click selects. "Whole answer" selects all tokens at once, until the user clicks a token. */
export const UnitChoice = memo(function UnitChoice() {
  const { library } = useServices();
  const unit = useChoices(selectUnit);
  const isWhole = useChoices(selectIsWhole);
  const onUnit = (keys: Set<Key>) => {
    const { runId, selection, setUnit, select } = useChoices.getState();
    if (keys.has('answer')) return select({ kind: 'answer' });
    const next = keys.has('word') ? 'word' : 'token';
    setUnit(next);
    const run = runId === undefined ? undefined : library.get(runId)?.snapshot();
    const last = selection.kind === 'picked' ? selection.indices.at(-1) : undefined;
    if (selection.kind === 'answer') select({ kind: 'auto' });
    else if (next === 'word' && run && last !== undefined) select(pickToken(run.tokens, last, 'word'));
  };
  return (
    <ToggleButtonGroup
      className="segments"
      aria-label="What a click selects"
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[isWhole ? 'answer' : unit]}
      onSelectionChange={onUnit}
    >
      <ToggleButton id="token" className="segment">
        Token
      </ToggleButton>
      <ToggleButton id="word" className="segment">
        Word
      </ToggleButton>
      <ToggleButton id="answer" className="segment">
        Whole answer
      </ToggleButton>
    </ToggleButtonGroup>
  );
});

export function answerKind({ header, end }: RunSnapshot): string {
  const isPartial = end !== undefined && isCut(end);
  if (header.recorded) return isPartial ? 'Recorded example (incomplete)' : 'Recorded example';
  if (end === undefined) return 'Answering';
  return isPartial ? 'Partial answer' : 'Answer';
}

/** A note if the answer ended early, with "Ask again"; otherwise a hint about selecting tokens. */
export function AnswerHint({ shown }: { readonly shown: ShownRun }) {
  const { asking } = useServices();
  const { header, end } = shown.run;
  const { refusal } = shown.offers.find(({ method }) => method === shown.method) ?? {};
  const note = end && endNote(end, header.recorded);
  const canAskAgain = end !== undefined && isCut(end) && !header.recorded;
  const isBad = end?.reason === 'failed' || end?.reason === 'truncated';
  return (
    <p className="answer-hint" data-bad={isBad || undefined}>
      {note ??
        (refusal === undefined
          ? 'Drag across several words to see the mean of their maps.'
          : 'Select a word to see its alternatives.')}
      {canAskAgain && (
        <>
          {' '}
          <button type="button" className="link-button" onClick={() => asking.ask(header.question)}>
            Ask again
          </button>
        </>
      )}
    </p>
  );
}

function endNote({ reason, message }: RunEnd, isRecorded: boolean): string | undefined {
  switch (reason) {
    case 'cancelled':
      return 'You stopped this answer.';
    case 'length':
      return sentences('Cut off at the maximum answer length', message);
    case 'truncated':
      return isRecorded ? 'The file ends before the answer is complete.' : sentences('Interrupted', message);
    case 'failed':
      return sentences('Interrupted', message ?? 'the model stopped with an error');
    case 'stop':
      return message && sentences(message);
  }
}

function sentences(first: string, reason?: string): string {
  return `${reason === undefined ? first : `${first}: ${reason}`}.`;
}
