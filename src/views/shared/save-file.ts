import { reasonOf } from '../../text/reason-of';

const revokeAfterMs = 60_000;

/** Downloads `content` as a file. */
export function saveFile(content: BlobPart, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // Safari starts to read the content after the click has returned.
  setTimeout(() => URL.revokeObjectURL(url), revokeAfterMs);
}

/** The message to show if saving `what` fails. */
export function saveProblem(what: 'image' | 'table', error: unknown): string {
  const reason = reasonOf(error);
  return `Could not save the ${what}: ${reason.replace(/\.$/, '')}.`;
}
