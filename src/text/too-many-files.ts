/** `maxImages`: the number of images that a question may have. */
export function tooManyImages(count: number, maxImages: number): string {
  if (maxImages === 1) return tooManyFiles(count, 'image or run file');
  return `${count} files came at once, and none was opened. A question may have up to ${maxImages} images; open run files one at a time.`;
}

/** `kind`: what one file may be, without an article. */
export function tooManyFiles(count: number, kind: string): string {
  return `${count} files came at once, and none was opened. Drop or paste one ${kind} at a time.`;
}
