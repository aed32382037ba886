import { useEffect } from 'react';
import { type Choices, useChoices } from '../../state/choices';
import { formatSelection, useSetTokenAddress } from '../../state/token-address';
import { useOpeningExample } from '../shared/use-opening-example';

const selectRunId = (choices: Choices) => choices.runId;
const selectText = (choices: Choices) => formatSelection(choices.selection) ?? null;

/** Writes the selected tokens to the URL while the URL's example is on screen; removes them for other answers. */
export function TokenAddress() {
  const { id } = useOpeningExample();
  const runId = useChoices(selectRunId);
  const text = useChoices(selectText);
  const setText = useSetTokenAddress();
  useEffect(() => {
    if (runId === undefined) return; // the URL has not been read yet
    setText(runId === id ? text : null);
  }, [runId, id, text, setText]);
  return null;
}
