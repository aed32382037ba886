/** `bytes` more have come. */
export type OnBytes = (bytes: number) => void;

/** Reports bytes as they come. */
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
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    total += part.value.length;
    onBytes(part.value.length);
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function fileName(url: string | URL): string {
  return String(url).split('/').at(-1) ?? String(url);
}
