import { type ReactNode, useEffect, useState } from 'react';
import './drop-target.css';

/**
 * Copying text from a spreadsheet or slide also copies an image of the text. If the user pastes into the question box,
 * the text is what they want.
 */
function isPastedAsText({ target, clipboardData }: ClipboardEvent): boolean {
  return target instanceof HTMLInputElement && clipboardData?.types.includes('text/plain') === true;
}

interface DropTargetProps {
  readonly children: ReactNode;
  /** Text shown while a file is dragged over the page. */
  readonly invitation: string;
  onFile(file: File): void;
}

/** Accepts files dropped or pasted anywhere on the page. */
export function DropTarget({ children, invitation, onFile }: DropTargetProps) {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    const onDragOver = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      setIsOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setIsOver(false);
    };
    const onDrop = (event: DragEvent) => {
      event.preventDefault();
      setIsOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) onFile(file);
    };
    const onPaste = (event: ClipboardEvent) => {
      const file = event.clipboardData?.files[0];
      if (!file || isPastedAsText(event)) return;
      event.preventDefault();
      onFile(file);
    };
    window.addEventListener('dragover', onDragOver);
    window.addEventListener('dragleave', onDragLeave);
    window.addEventListener('drop', onDrop);
    window.addEventListener('paste', onPaste);
    return () => {
      window.removeEventListener('dragover', onDragOver);
      window.removeEventListener('dragleave', onDragLeave);
      window.removeEventListener('drop', onDrop);
      window.removeEventListener('paste', onPaste);
    };
  }, [onFile]);
  return (
    <>
      {children}
      {isOver && (
        <div className="drop-veil" aria-hidden="true">
          <p>{invitation}</p>
        </div>
      )}
    </>
  );
}
