import { Fragment, type KeyboardEvent, memo, type PointerEvent, useEffect, useRef } from 'react';
import type { AnswerToken } from '../../contract/run';
import { type Choices, useChoices } from '../../state/choices';
import type { TokenMarks } from '../../state/token-marks';
import {
  extendSelection,
  pickedOrShown,
  pickToken,
  type TokenSelection,
  type TokenUnit,
  toggleToken,
} from '../../state/token-selection';
import { formatPercent, formatProbability, formatValue } from '../../text/number-format';
import { indicesOf, tokenAfterKey, unbrokenGroups, wordRange } from '../../text/token-words';
import { shortened, signOf } from '../../text/visible-text';
import { formatNats } from '../trust/trust-words';
import { TokenMark } from './token-mark';

interface AnswerTokensProps {
  readonly tokens: readonly AnswerToken[];
  readonly selected: readonly number[];
  readonly unit: TokenUnit;
  /** Returns false for tokens to be marked as having no map. */
  hasMap(index: number): boolean;
  /** Whether a token's map reaches the threshold at the picked patch. */
  isOnPatch(index: number): boolean;
  /** Image share and grounding weight per token, if known. */
  readonly marks?: readonly TokenMarks[];
  /** Entropy of each token's map, once the answer is complete and has maps. */
  readonly entropiesNats?: ArrayLike<number> | undefined;
  /** Whether entropies replace the probabilities below the words. */
  readonly areEntropiesShown?: boolean;
  readonly isStreaming: boolean;
}

const selectPointed = (choices: Choices) => choices.pointedToken;

/** The answer as text with selectable tokens: a listbox with one tab stop. */
export function AnswerTokens(props: AnswerTokensProps) {
  const { tokens, selected, unit, hasMap, isOnPatch, marks, isStreaming } = props;
  const { entropiesNats, areEntropiesShown = false } = props;
  const list = useRef<HTMLDivElement>(null);
  const drag = useRef<{ from: TokenSelection; pointerId: number; moved: boolean } | undefined>(undefined);
  const pointed = useChoices(selectPointed);
  const { select, pointToken } = useChoices.getState();
  const pointedWord = pointed !== undefined && unit === 'word' ? tokens[pointed]?.word : undefined;
  const tabStop = selected.at(-1) ?? 0;

  const choose = (index: number, how: 'only' | 'extend' | 'toggle') => {
    const from = pickedOrShown(useChoices.getState().selection, selected);
    switch (how) {
      case 'only':
        return select(pickToken(tokens, index, unit));
      case 'extend':
        return select(extendSelection(tokens, from, index, unit));
      case 'toggle':
        return select(toggleToken(tokens, from, index, unit));
    }
  };

  const focusToken = (index: number) => list.current?.querySelector<HTMLElement>(`[data-token="${index}"]`)?.focus();

  const onKeyDown = (event: KeyboardEvent) => {
    const here = tokenUnder(event.target) ?? tabStop;
    if ((event.ctrlKey || event.metaKey) && event.key === 'a') select({ kind: 'answer' });
    else if (event.key === ' ' || event.key === 'Enter')
      choose(here, event.ctrlKey || event.metaKey ? 'toggle' : 'only');
    else {
      const next = tokenAfterKey(tokens, here, event.key, unit === 'word');
      if (next === undefined) return;
      choose(next, event.shiftKey ? 'extend' : 'only');
      focusToken(next);
    }
    // The map and the inspector follow the keys, not a pointer left on another token.
    pointToken(undefined);
    event.preventDefault();
  };

  const onPointerDown = (event: PointerEvent) => {
    const index = tokenUnder(event.target);
    if (index === undefined || event.button !== 0) return;
    choose(index, event.shiftKey ? 'extend' : event.ctrlKey || event.metaKey ? 'toggle' : 'only');
    drag.current = { from: useChoices.getState().selection, pointerId: event.pointerId, moved: false };
    if (event.shiftKey) event.preventDefault();
  };
  const onPointerMove = (event: PointerEvent) => {
    const index = tokenUnder(document.elementFromPoint(event.clientX, event.clientY));
    if (drag.current?.pointerId !== event.pointerId) {
      if (event.pointerType === 'mouse' && index !== pointed) pointToken(index);
      return;
    }
    if (index === undefined) return;
    const anchor = drag.current.from.kind === 'picked' ? drag.current.from.anchor : index;
    if (index === anchor && !drag.current.moved) return;
    drag.current.moved = true;
    const next = extendSelection(tokens, drag.current.from, index, unit);
    if (!sameIndices(next, useChoices.getState().selection)) select(next);
  };
  useEffect(() => {
    const endDrag = () => {
      drag.current = undefined;
    };
    window.addEventListener('pointerup', endDrag);
    window.addEventListener('pointercancel', endDrag);
    return () => {
      window.removeEventListener('pointerup', endDrag);
      window.removeEventListener('pointercancel', endDrag);
    };
  }, []);

  return (
    <div
      ref={list}
      className="tokens"
      role="listbox"
      aria-label="Tokens of the answer"
      aria-multiselectable="true"
      aria-orientation="horizontal"
      aria-busy={isStreaming}
      tabIndex={tokens.length === 0 ? 0 : -1}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerLeave={() => pointToken(undefined)}
      onDoubleClick={(event) => {
        const index = tokenUnder(event.target);
        if (index === undefined) return;
        select({ kind: 'picked', indices: indicesOf(wordRange(tokens, index)), anchor: index });
      }}
      onBlur={() => pointToken(undefined)}
    >
      {unbrokenGroups(tokens).map((group, at, groups) => (
        <Fragment key={group[0]?.index}>
          <Gap before={groups[at - 1]?.at(-1)?.text ?? ''} after={group[0]?.text ?? ''} />
          <span className="token-group">
            {group.map((token) => (
              <TokenOption
                key={token.index}
                token={token}
                isSelected={selected.includes(token.index)}
                isPointed={pointed === token.index || (pointedWord !== undefined && pointedWord === token.word)}
                isTabStop={token.index === tabStop}
                hasMap={hasMap(token.index)}
                isMarked={isOnPatch(token.index)}
                imageShare={marks?.[token.index]?.imageShare}
                grounding={marks?.[token.index]?.grounding}
                entropyNats={entropiesNats?.[token.index]}
                isEntropyShown={areEntropiesShown}
              />
            ))}
          </span>
        </Fragment>
      ))}
      {isStreaming && <span className="tokens-caret" aria-hidden="true" />}
    </div>
  );
}

function sameIndices(a: TokenSelection, b: TokenSelection): boolean {
  return a.kind === 'picked' && b.kind === 'picked' && a.indices.join() === b.indices.join();
}

function tokenUnder(target: EventTarget | null): number | undefined {
  const element = target instanceof Element ? target.closest<HTMLElement>('[data-token]') : null;
  return element ? Number(element.dataset.token) : undefined;
}

/** The white space between two groups: a space, or up to two of the answer's line breaks. */
function Gap({ before, after }: { readonly before: string; readonly after: string }) {
  const white = (/\s*$/.exec(before)?.[0] ?? '') + (/^\s*/.exec(after)?.[0] ?? '');
  const breaks = white.split('\n').length - 1;
  if (breaks === 0) return white === '' ? null : ' ';
  return (
    <>
      <br />
      {breaks > 1 && <br />}
    </>
  );
}

interface TokenOptionProps {
  readonly token: AnswerToken;
  readonly isSelected: boolean;
  readonly isPointed: boolean;
  readonly isTabStop: boolean;
  readonly hasMap: boolean;
  readonly isMarked: boolean;
  readonly imageShare: number | undefined;
  readonly grounding: number | undefined;
  readonly entropyNats: number | undefined;
  readonly isEntropyShown: boolean;
}

const TokenOption = memo(function TokenOption(props: TokenOptionProps) {
  const { token, isSelected, isPointed, isTabStop, hasMap, isMarked, imageShare, grounding } = props;
  const { entropyNats, isEntropyShown } = props;
  const probability = Math.exp(token.logProb);
  const special = signOf(token.text);
  const whole = special?.sign ?? token.text.trim();
  const text = shortened(whole);
  const label = [
    special?.name ?? text,
    formatProbability(token.logProb),
    ...(hasMap ? [] : ['no map']),
    ...(isMarked ? ['used the selected patch'] : []),
    ...(imageShare === undefined ? [] : [`${formatPercent(imageShare)} of its relevancy on the image`]),
    ...(grounding === undefined ? [] : [`grounding ${formatValue(grounding)}`]),
    ...(entropyNats === undefined ? [] : [`entropy ${formatNats(entropyNats)} nats`]),
  ].join(', ');
  const percent = probability >= 0.995 ? '' : Math.round(probability * 100);
  const entropy = entropyNats === undefined ? '' : formatNats(entropyNats);
  return (
    <span
      className="token"
      role="option"
      aria-selected={isSelected}
      aria-label={label}
      title={text === whole ? undefined : whole}
      tabIndex={isTabStop ? 0 : -1}
      data-token={token.index}
      data-pointed={isPointed || undefined}
      data-marked={isMarked || undefined}
      data-map={hasMap}
    >
      {text}
      <TokenMark imageShare={imageShare} grounding={grounding} />
      <span className="token-bar" aria-hidden="true">
        <span className="token-fill" style={{ width: `${probability * 100}%` }} />
      </span>
      <span className="token-percent mono" aria-hidden="true">
        {text.length < 2 ? '' : isEntropyShown ? entropy : percent}
      </span>
    </span>
  );
});
