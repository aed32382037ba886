import { memo } from 'react';
import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { patchIndex } from '../math/patch-geometry';
import { type Choices, useChoices } from '../state/choices';
import { pickToken } from '../state/token-selection';
import { AnswerTokens } from './answer-tokens';
import { Provenance } from './provenance';
import { useServices } from './services-context';
import { TokenInspector } from './token-inspector';
import type { Bench } from './use-bench';
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

  return (
    <section className="answer" aria-label="Answer">
      <p className="eyebrow">{header.recorded ? 'Recorded example' : end ? 'Answer' : 'Answering'}</p>
      <h2 className="answer-question">{header.question}</h2>
      <AnswerTokens
        tokens={tokens}
        mapOf={record.mapOf}
        selected={selected}
        unit={unit}
        markPatch={markPatch}
        threshold={threshold}
        isStreaming={end === undefined}
      />
      <div className="answer-tools">
        <UnitChoice />
        <p className="answer-hint">{endNote(bench) ?? 'Drag over several words for the mean of their maps.'}</p>
      </div>
      <TokenInspector bench={bench} />
      <Provenance bench={bench} />
    </section>
  );
}

/** What a click picks. The whole answer is a selection at once, and a click on a token ends it. */
const UnitChoice = memo(function UnitChoice() {
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

function endNote({ run }: Bench): string | undefined {
  switch (run.end?.reason) {
    case 'cancelled':
      return 'Stopped before its end.';
    case 'length':
      return 'Cut at the longest answer allowed.';
    case 'truncated':
      return 'The file ends before the answer does.';
    case 'failed':
      return `Broke off: ${run.end.message ?? 'the model stopped with an error'}.`;
    case 'stop':
    case undefined:
      return undefined;
  }
}
