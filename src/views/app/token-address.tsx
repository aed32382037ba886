import { useEffect } from 'react';
import { type Choices, useChoices } from '../../state/choices';
import { formatSelection, useSetTokenAddress } from '../../state/token-address';
import { useOpeningExample } from '../shared/use-opening-example';

const selectRunId = (choices: Choices) => choices.runId;
const selectText = (choices: Choices) => formatSelection(choices.selection) ?? null;

/** Writes the picked tokens of the address's example into the address; an answer of one's own has none. */
export function TokenAddress() {
  const { id } = useOpeningExample();
  const runId = useChoices(selectRunId);
  const text = useChoices(selectText);
  const setText = useSetTokenAddress();
  useEffect(() => {
    if (runId === undefined) return; // what the address says has yet to be read
    setText(runId === id ? text : null);
  }, [runId, id, text, setText]);
  return null;
}
