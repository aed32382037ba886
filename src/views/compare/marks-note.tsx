import { methods } from '../../contract/methods';
import { type Choices, useChoices } from '../../state/choices';
import { type MarkedTokens, MarksLegend } from '../answer/token-mark';
import type { CompareBench } from './use-compare';

const selectWeighedRun = (choices: Choices) => choices.weighedRun;

/** What stands above the words, or will; and the way to what does not stand there yet. */
export function MarksNote({ bench, marked }: { readonly bench: CompareBench; readonly marked: MarkedTokens }) {
  const { record, panels, offers, stripMethod } = bench;
  const weighedRun = useChoices(selectWeighedRun);
  const method = marked.method ?? panels.find((one) => methods[one].hasText);
  const isWeighed = marked.marks.some(({ grounding }) => grounding !== undefined);
  const isAsked = panels.includes('dex-ar') || stripMethod === 'dex-ar' || weighedRun === record.id;
  const canWeigh = offers.some((offer) => offer.method === 'dex-ar' && offer.canExplain);
  return (
    <MarksLegend method={method} hasGrounding={isWeighed || isAsked}>
      {!isWeighed && !isAsked && canWeigh && (
        <span>
          How grounded is each word in the image?{' '}
          <button type="button" className="link-button" onClick={() => useChoices.getState().weighWords(record.id)}>
            Weigh the words
          </button>{' '}
          with DEX-AR.
        </span>
      )}
    </MarksLegend>
  );
}
