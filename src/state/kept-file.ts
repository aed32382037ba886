// Keeps the user's table while the tab is open, so that reloading the page or leaving it and coming back does not lose
// it. Session storage belongs to the tab and is deleted with it; it holds a few megabytes of text, so the file is
// compressed.

const key = 'patchlight.table';
/** In pieces, because a longer argument list overflows the stack. */
const chunkBytes = 0x8000;

/** Whether the file was kept; false if it is too large for the storage. Removes the file that was kept before. */
export async function keepFile(storage: Storage | undefined, file: File): Promise<boolean> {
  if (storage === undefined) return false;
  storage.removeItem(key);
  const bytes = await bytesOf(file.stream().pipeThrough(new CompressionStream('gzip')));
  let text = '';
  for (let i = 0; i < bytes.length; i += chunkBytes) text += String.fromCharCode(...bytes.subarray(i, i + chunkBytes));
  try {
    storage.setItem(key, JSON.stringify({ name: file.name, gzip: btoa(text) }));
    return true;
  } catch {
    return false;
  }
}

export function forgetFile(storage: Storage | undefined): void {
  storage?.removeItem(key);
}

/** The name of the kept file; undefined if there is none. */
export function keptName(storage: Storage | undefined): string | undefined {
  return read(storage)?.name;
}

/** Undefined if there is none. Rejects if the storage holds something else. */
export async function keptFile(storage: Storage | undefined): Promise<File | undefined> {
  const kept = read(storage);
  if (kept === undefined) return undefined;
  const bytes = Uint8Array.from(atob(kept.gzip), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new File([await bytesOf(stream)], kept.name);
}

function read(storage: Storage | undefined): { readonly name: string; readonly gzip: string } | undefined {
  const text = storage?.getItem(key);
  return text ? JSON.parse(text) : undefined;
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}
