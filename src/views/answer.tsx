import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { patchIndex } from '../math/patch-geometry';
import { type Choices, useChoices } from '../state/choices';
import { pickToken } from '../state/token-selection';
import { AnswerTokens } from './answer-tokens';
import { Provenance } from './provenance';
import { TokenInspector } from './token-inspector';
import type { Bench } from './use-bench';
import './answer.css';

const selectUnit = (choices: Choices) => choices.unit;
const selectPicked = (choices: Choices) => choices.pickedPatch;
const selectIsWhole = (choices: Choices) => choices.selection.kind === 'answer';

export function Answer({ bench }: { readonly bench: Bench }) {
  const { run, record, selected, threshold } = bench;
  const unit = useChoices(selectUnit);
  const isWhole = useChoices(selectIsWhole);
  const picked = useChoices(selectPicked);
  const { setUnit, select } = useChoices.getState();
  const { header, tokens, end } = run;
  const markPatch = picked && patchIndex(header.geometry.grid, picked);

  const onUnit = (keys: Set<Key>) => {
    if (keys.has('answer')) select({ kind: 'answer' });
    else {
      const next = keys.has('word') ? 'word' : 'token';
      setUnit(next);
      const last = selected.at(-1);
      if (isWhole) select({ kind: 'auto' });
      else if (next === 'word' && last !== undefined) select(pickToken(tokens, last, 'word'));
    }
  };

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
        <p className="answer-hint">{endNote(bench) ?? 'Click a word. Shift-click or drag for several.'}</p>
      </div>
      <TokenInspector bench={bench} />
      <Provenance bench={bench} />
    </section>
  );
}

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
