import { type ReactNode, useEffect, useState } from 'react';
import './drop-target.css';

/** Spreadsheets and slides put a picture of the words beside them: in the question box the words are meant. */
function isPastedAsText({ target, clipboardData }: ClipboardEvent): boolean {
  return target instanceof HTMLInputElement && clipboardData?.types.includes('text/plain') === true;
}

interface DropTargetProps {
  readonly children: ReactNode;
  /** What a dropped file will be, in words. */
  readonly invitation: string;
  onFile(file: File): void;
}

/** The whole page takes a dropped or pasted file. */
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
