import { type KeyboardEvent, useMemo, useState } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import type { AnswerToken, PromptToken } from '../../contract/run';
import { promptRelevancy, type WordsRelevancy, weighsWords } from '../../state/prompt-relevancy';
import { formatPercent, formatValue, listOf } from '../../text/number-format';
import type { ShownComparison } from './use-shown-comparison';
import './prompt-words.css';

/** How strongly the selected tokens rest on the words of the prompt and, by most methods, of the answer so far. */
export function PromptWords({ shown }: { readonly shown: ShownComparison }) {
  const { run, panels, selected } = shown;
  const weighing = panels.filter((method) => weighsWords(run, method));
  const others = panels.filter((method) => methods[method].words === 'none').map((method) => methods[method].name);
  const isHeadWordless = run.prompt.length > 0 && panels.includes('fastrm') && !weighing.includes('fastrm');
  return (
    <section className="prompt-part" aria-label="Prompt words">
      <div className="part-head">
        <h2 className="part-title">Words that {selected.length > 1 ? 'these tokens' : 'this token'} rested on</h2>
      </div>
      {run.prompt.length === 0 ? (
        <p className="panel-text">This run does not contain the words of its prompt.</p>
      ) : (
        <div className="prompt-methods">
          {weighing.map((method) => (
            <WordsOf key={method} shown={shown} method={method} />
          ))}
        </div>
      )}
      {others.length > 0 && (
        <p className="panel-text">
          {listOf(others)} {others.length === 1 ? 'weighs' : 'weigh'} only patches, not words.
        </p>
      )}
      {isHeadWordless && (
        <p className="panel-text">FastRM weighs only patches here: its head gives no values for words.</p>
      )}
    </section>
  );
}

/** What a map without values for words says. */
const withoutWords = {
  shares: 'This method found no relevancy here, on patches or on words.',
  probabilities: 'The head gave no values for words here.',
  none: undefined,
} as const;

function WordsOf({ shown, method }: { readonly shown: ShownComparison; readonly method: MethodId }) {
  const { run, selected, offers } = shown;
  const words = useMemo(() => promptRelevancy(run, selected, method), [run, selected, method]);
  const isThere = selected.some((index) => run.mapOf(index, method) !== undefined);
  const refusal = offers.find((offer) => offer.method === method)?.refusal;
  return (
    <figure className="words">
      <figcaption className="words-head">
        <strong>{methods[method].name}</strong> {words && <Totals words={words} />}
      </figcaption>
      {words ? (
        <ShadedWords words={words} prompt={run.prompt} answer={run.tokens} name={methods[method].name} />
      ) : (
        <p className="panel-text">{isThere ? withoutWords[methods[method].words] : (refusal ?? 'No map yet.')}</p>
      )}
    </figure>
  );
}

/** How the relevancy is divided, or that it is not. */
function Totals({ words }: { readonly words: WordsRelevancy }) {
  switch (words.unit) {
    case 'share':
      return (
        <span className="words-note mono">
          image {formatPercent(words.imageShare)} · prompt {formatPercent(words.promptShare)} · answer so far{' '}
          {formatPercent(words.answerShare)}
        </span>
      );
    case 'probability':
      return (
        <span className="words-note">probability of each word of the prompt; the answer so far is not weighed</span>
      );
  }
}

interface ShadedWord {
  readonly key: string;
  readonly text: string;
  /** A share of the relevancy, or a probability. */
  readonly value: number;
  readonly isAnswer: boolean;
}

/** Words with one tab stop: arrow keys move between words, and the current word's value is shown below. */
function ShadedWords(props: {
  readonly words: WordsRelevancy;
  readonly prompt: readonly PromptToken[];
  readonly answer: readonly AnswerToken[];
  readonly name: string;
}) {
  const { words, prompt, answer, name } = props;
  const [at, setAt] = useState<number>();
  const [tabStop, setTabStop] = useState(0);
  const all: readonly ShadedWord[] = [
    ...prompt.map(({ text }, i) => ({ key: `p${i}`, text, value: words.prompt[i] ?? 0, isAnswer: false })),
    ...Array.from(words.unit === 'share' ? words.answer : [], (value, i) => {
      return { key: `a${i}`, text: answer[i]?.text ?? '', value, isAnswer: true };
    }),
  ];
  // Probabilities can be compared between tokens, so their shade is not relative.
  const full = words.unit === 'share' ? all.reduce((max, { value }) => Math.max(max, value), 0) : 1;
  const format = words.unit === 'share' ? formatShare : formatValue;
  const shown = at === undefined ? strongest(all) : all[at];
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const next = nextAfterKey(event.key, at ?? tabStop, all.length);
    if (next === undefined) return;
    event.preventDefault();
    setTabStop(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-word="${next}"]`)?.focus();
  };
  return (
    <>
      <ol
        className="words-text"
        aria-label={`Words weighed by ${name}`}
        onKeyDown={onKeyDown}
        onPointerLeave={() => setAt(undefined)}
      >
        {all.map(({ key, text, value, isAnswer }, i) => (
          <li
            key={key}
            className="word"
            data-word={i}
            data-answer={isAnswer || undefined}
            data-first={(isAnswer && !all[i - 1]?.isAnswer) || undefined}
            tabIndex={i === Math.min(tabStop, all.length - 1) ? 0 : -1}
            aria-label={`${text.trim() || 'space'}, ${format(value)}`}
            style={{ '--shade': full > 0 ? value / full : 0 } as React.CSSProperties}
            onPointerEnter={() => setAt(i)}
            onFocus={() => {
              setAt(i);
              setTabStop(i);
            }}
            onBlur={() => setAt(undefined)}
          >
            {text.replace(/\n/g, '↵') || '·'}
          </li>
        ))}
      </ol>
      <p className="words-readout mono">
        {shown && (
          <>
            {at === undefined && 'most: '}“{shown.text.trim() || '␣'}” {format(shown.value)}
            {words.unit === 'share' && ' of the relevancy'}
            {shown.isAnswer && ', in the answer'}
          </>
        )}
      </p>
    </>
  );
}

function formatShare(share: number): string {
  const percent = share * 100;
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

function strongest(words: readonly ShadedWord[]): ShadedWord | undefined {
  return words.reduce<ShadedWord | undefined>(
    (best, word) => (best === undefined || word.value > best.value ? word : best),
    undefined,
  );
}

function nextAfterKey(key: string, at: number, count: number): number | undefined {
  switch (key) {
    case 'ArrowRight':
    case 'ArrowDown':
      return Math.min(count - 1, at + 1);
    case 'ArrowLeft':
    case 'ArrowUp':
      return Math.max(0, at - 1);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return undefined;
  }
}
