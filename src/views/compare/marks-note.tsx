import { methods } from '../../contract/methods';
import { useChoices } from '../../state/choices';
import { markingMethod } from '../../state/token-marks';
import { TokenMark } from '../token-mark';
import type { CompareBench } from './use-compare';

/** What stands above the words, and the way to what does not stand there yet. */
export function MarksNote({ bench }: { readonly bench: CompareBench }) {
  const { record, run, panels, offers, stripMethod } = bench;
  const marking = markingMethod(panels);
  const isWeighed = run.tokens.every(({ index }) => record.mapOf(index, 'dex-ar') !== undefined);
  const weighedRun = useChoices((choices) => choices.weighedRun);
  const isAsked = panels.includes('dex-ar') || stripMethod === 'dex-ar' || weighedRun === record.id;
  const canWeigh = offers.some(({ method, canExplain }) => method === 'dex-ar' && canExplain);
  return (
    <p className="marks-note">
      {marking ? (
        <span>
          <span className="marks-sample">
            <TokenMark imageShare={0.4} grounding={undefined} />
          </span>
          share of a word’s relevancy that lies on the image, not on other words ({methods[marking].name})
        </span>
      ) : (
        <span>None of the panels’ methods weighs words, so none says what share lies on the image.</span>
      )}
      <span>
        <span className="marks-sample marks-dot">
          <TokenMark imageShare={undefined} grounding={0.5} />
        </span>
        how grounded a word is in the image, by DEX-AR: an empty ring is not at all
        {!isWeighed && !isAsked && canWeigh && (
          <>
            {' '}
            <button type="button" className="link-button" onClick={() => useChoices.getState().weighWords(record.id)}>
              Weigh the words
            </button>
          </>
        )}
      </span>
    </p>
  );
}
