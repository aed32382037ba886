import { useRef, useState } from 'react';
import type { NoMaps } from '../../contract/run';
import './no-maps-notice.css';

/** Why this answer has no maps, and the command that trains a head for the model. */
export function NoMapsNotice({ noMaps }: { readonly noMaps: NoMaps }) {
  const { reason, trainCommand } = noMaps;
  return (
    <div className="notice">
      <p>{reason}</p>
      {trainCommand !== undefined && (
        <>
          <p>
            To make a head, run this on the companion’s machine with a folder of pictures like yours in place of photos.
            A useful head needs hundreds of them.
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
