import { reasonOf } from '../../text/reason-of';

/** Downloads `content` as a file. */
export function saveFile(content: BlobPart, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** The message to show if saving `what` fails. */
export function saveProblem(what: 'image' | 'table', error: unknown): string {
  const reason = reasonOf(error);
  return `Could not save the ${what}: ${reason.replace(/\.$/, '')}.`;
}
