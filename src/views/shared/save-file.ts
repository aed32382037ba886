/** Hands the user a file. */
export function saveFile(content: BlobPart, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** What the user is told where `what` came to nothing. */
export function saveProblem(what: 'picture' | 'table', error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `The ${what} could not be saved: ${reason.replace(/\.$/, '')}.`;
}
