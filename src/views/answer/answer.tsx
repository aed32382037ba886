import { memo, useEffect, useRef, useState } from 'react';
import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { isCut, type RunEnd } from '../../contract/run';
import { patchIndex } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import type { RunSnapshot } from '../../state/run-record';
import { pickToken } from '../../state/token-selection';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { TrustPanel } from '../trust/trust-panel';
import { useTokenNats } from '../trust/use-answer-trust';
import { AnswerTokens } from './answer-tokens';
import { NoMapsNotice } from './no-maps-notice';
import { Provenance } from './provenance';
import { TokenInspector } from './token-inspector';
import { MarksLegend, useTokenMarks } from './token-mark';
import './answer.css';

const selectUnit = (choices: Choices) => choices.unit;
const selectPicked = (choices: Choices) => choices.pickedPatch;
const selectIsWhole = (choices: Choices) => choices.selection.kind === 'answer';

export function Answer({ bench }: { readonly bench: Bench }) {
  const { run, record, selected, frame, threshold } = bench;
  const unit = useChoices(selectUnit);
  const picked = useChoices(selectPicked);
  const { header, tokens, end } = run;
  const markPatch = picked && frame.placement.first + patchIndex(frame.placement.grid, picked);

  const { method, marks } = useTokenMarks(bench);
  const hasGrounding = marks.some(({ grounding }) => grounding !== undefined);
  const { nats } = useTokenNats(bench);
  const [isEvidenceOpen, setIsEvidenceOpen] = useState(false);

  return (
    <section className="answer" aria-label="Answer">
      <p className="eyebrow">{answerKind(run)}</p>
      <AskedQuestion key={record.id} text={header.question} isRecorded={header.recorded} />
      <AnswerTokens
        tokens={tokens}
        selected={selected}
        unit={unit}
        hasMap={(index) => record.mapOf(index) !== undefined || header.head === undefined}
        isOnPatch={(index) => markPatch !== undefined && (record.mapOf(index)?.values[markPatch] ?? 0) >= threshold}
        marks={marks}
        entropiesNats={nats}
        areEntropiesShown={isEvidenceOpen}
        isStreaming={end === undefined}
      />
      {(method || hasGrounding) && <MarksLegend method={method} hasGrounding={hasGrounding} />}
      <div className="answer-tools">
        <UnitChoice />
        <AnswerHint bench={bench} />
      </div>
      {header.noMaps && <NoMapsNotice noMaps={header.noMaps} />}
      <TokenInspector bench={bench} />
      <Provenance bench={bench} />
      <TrustPanel bench={bench} isOpen={isEvidenceOpen} onOpen={setIsEvidenceOpen} />
    </section>
  );
}

/** On a phone the answer stands above the question box, out of sight of whoever has just asked. */
export function AskedQuestion({ text, isRecorded }: { readonly text: string; readonly isRecorded: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isRecorded) heading.current?.scrollIntoView({ block: 'nearest' });
  }, [isRecorded]);
  return (
    <h2 ref={heading} className="answer-question">
      {text}
    </h2>
  );
}

/** What a click picks. The whole answer is a selection at once, and a click on a token ends it. */
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
      aria-label="What a click picks"
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
  if (header.recorded) return isPartial ? 'Recorded example, not whole' : 'Recorded example';
  if (end === undefined) return 'Answering';
  return isPartial ? 'Partial answer' : 'Answer';
}

/** How the answer ended, where that is worth saying, and the way on; else what can be done with its tokens. */
export function AnswerHint({ bench }: { readonly bench: Bench }) {
  const { asking } = useServices();
  const { header, end } = bench.run;
  const note = end && endNote(end, header.recorded);
  const canAskAgain = end !== undefined && isCut(end) && !header.recorded;
  const isBad = end?.reason === 'failed' || end?.reason === 'truncated';
  return (
    <p className="answer-hint" data-bad={isBad || undefined}>
      {note ??
        (header.head
          ? 'Drag over several words for the mean of their maps.'
          : 'Pick a word for what else the model might have said.')}
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
      return 'Stopped before its end.';
    case 'length':
      return sentences('Cut at the longest answer allowed', message);
    case 'truncated':
      return isRecorded ? 'The file ends before the answer does.' : sentences('Broke off', message);
    case 'failed':
      return sentences('Broke off', message ?? 'the model stopped with an error');
    case 'stop':
      return message && sentences(message);
  }
}

function sentences(first: string, reason?: string): string {
  return `${reason === undefined ? first : `${first}: ${reason}`}.`;
}
