import { useRef, useState } from 'react';
import { dismissHeadNotice, noticeText, selectShowsNotice, useHeadNotices } from '../../state/head-notices';
import { useRunSnapshots } from '../shared/use-run';
import type { ShownRun } from '../shared/use-shown-run';
import './head-notice.css';

/** Why this answer has no FastRM maps, what is shown instead, and the command that makes a head for the model. */
export function HeadNotice({ shown }: { readonly shown: ShownRun }) {
  const { header } = shown.run;
  const runs = useRunSnapshots();
  const notices = useHeadNotices();
  if (header.noHead === undefined || !selectShowsNotice(notices, header, runs)) return null;
  const { kind, trainCommand } = header.noHead;
  return (
    <div className="notice">
      <p>{noticeText(header.noHead, shown.offers)}</p>
      {kind === 'absent' && (
        <button
          type="button"
          className="notice-dismiss"
          aria-label="Dismiss"
          title="Dismiss"
          onClick={() => {
            dismissHeadNotice(header);
            // The button had the focus, which would be lost with it.
            document.querySelector<HTMLElement>('.answer-question')?.focus();
          }}
        >
          ×
        </button>
      )}
      {trainCommand !== undefined && (
        <>
          <p>
            A head imitates Chefer’s exact maps without gradients. To fit one, run this on the companion’s machine;
            photos is a folder with your own pictures.
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
      <span className="visually-hidden" aria-live="polite">
        {isCopied ? 'Copied' : ''}
      </span>
    </p>
  );
}
