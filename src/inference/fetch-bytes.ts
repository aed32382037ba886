/** Called with the number of bytes just received. */
export type OnBytes = (bytes: number) => void;

const stallMs = 30_000;

/** Reports bytes as they arrive; rejects if none arrive for 30 s. */
export async function fetchBytes(
  url: string | URL,
  onBytes: OnBytes,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok) throw new Error(`${fileName(url)}: the server answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let total = 0;
  if (response.body === null) throw new Error(`${fileName(url)}: the server sent nothing`);
  const reader = response.body.getReader();
  for (let part = await readSoon(reader, url); !part.done; part = await readSoon(reader, url)) {
    chunks.push(part.value);
    total += part.value.length;
    onBytes(part.value.length);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function readSoon(reader: ReadableStreamDefaultReader<Uint8Array>, url: string | URL) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${fileName(url)}: no data for ${stallMs / 1000} s`)), stallMs);
  });
  try {
    return await Promise.race([reader.read(), stalled]);
  } catch (error) {
    void reader.cancel().catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function fileName(url: string | URL): string {
  return String(url).split('/').at(-1) ?? String(url);
}
