import { useRef, useState } from 'react';
import type { NoHead } from '../../contract/run';
import './head-notice.css';

/** Why this answer has no maps, and the command that trains a head for the model. */
export function HeadNotice({ noHead }: { readonly noHead: NoHead }) {
  const { reason, trainCommand } = noHead;
  return (
    <div className="notice">
      <p>{reason}</p>
      {trainCommand !== undefined && (
        <>
          <p>
            To train a head on example questions, run this on the companion’s machine. A useful head needs thousands of
            questions about images like yours: replace the examples with them.
          </p>
          <Command key={trainCommand} text={trainCommand} />
        </>
      )}
    </div>
  );
}

function Command({ text }: { readonly text: string }) {
  const code = useRef<HTMLElement>(null);
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    // Over plain HTTP from another machine, there is no clipboard: select the text for the user to copy.
    if (navigator.clipboard === undefined) getSelection()?.selectAllChildren(code.current!);
    else await navigator.clipboard.writeText(text).then(() => setIsCopied(true));
  };
  return (
    <p className="command">
      <code ref={code} className="mono">
        {text}
      </code>
      <button type="button" className="link-button" onClick={() => void copy().catch(() => {})}>
        {isCopied ? 'Copied' : 'Copy'}
      </button>
    </p>
  );
}
