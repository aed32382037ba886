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
  /** Called with the files of one drop or paste, at least one. */
  onFiles(files: readonly File[]): void;
}

/** Accepts files dropped or pasted anywhere on the page. */
export function DropTarget({ children, invitation, onFiles }: DropTargetProps) {
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
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) onFiles(files);
    };
    const onPaste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0 || isPastedAsText(event)) return;
      event.preventDefault();
      onFiles(files);
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
  }, [onFiles]);
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
