import { methods } from '../../contract/methods';
import { type Choices, useChoices } from '../../state/choices';
import { type MarkedTokens, MarksLegend } from '../answer/token-mark';
import type { ShownComparison } from './use-shown-comparison';

const selectWeighedRun = (choices: Choices) => choices.weighedRun;

/** Explains the marks above the words, whether shown or pending, and offers to compute missing DEX-AR marks. */
export function MarksNote({ shown, marked }: { readonly shown: ShownComparison; readonly marked: MarkedTokens }) {
  const { record, panels, offers, stripMethod } = shown;
  const weighedRun = useChoices(selectWeighedRun);
  const method = marked.method ?? panels.find((one) => methods[one].words === 'shares');
  const isWeighed = marked.marks.some(({ grounding }) => grounding !== undefined);
  const isRequested = panels.includes('dex-ar') || stripMethod === 'dex-ar' || weighedRun === record.id;
  const canWeigh = offers.some((offer) => offer.method === 'dex-ar' && offer.canExplain);
  return (
    <MarksLegend method={method} hasGrounding={isWeighed || isRequested}>
      {!isWeighed && !isRequested && canWeigh && (
        <span>
          How much does each word depend on the image?{' '}
          <button type="button" className="link-button" onClick={() => useChoices.getState().weighWords(record.id)}>
            Show per word
          </button>{' '}
          with DEX-AR.
        </span>
      )}
    </MarksLegend>
  );
}
