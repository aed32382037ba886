/** `kind`: what one file may be, without an article. */
export function tooManyFiles(count: number, kind: string): string {
  return `${count} files came at once, and none was opened. Drop or paste one ${kind} at a time.`;
}
