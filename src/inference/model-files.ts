// The model's files are checked against the manifest's hashes and cached in the browser under those hashes: a cached file
// is not fetched again, and a changed file has a new key.
import { type ModelManifest, parseManifest } from '../contract/manifest';
import { sha256Hex } from '../contract/sha256';
import { fetchBytes, type OnBytes } from './fetch-bytes';

export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export type ModelFiles = (path: string) => Uint8Array<ArrayBuffer>;

export async function fetchManifest(modelUrl: string): Promise<ModelManifest> {
  const response = await fetch(new URL('manifest.json', modelUrl), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`the model's manifest: the server answered ${response.status}`);
  // A static host may respond to a missing file with its start page.
  const text = await response.text();
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error('the model was not found: its manifest is not JSON');
  }
  return parseManifest(data);
}

/** Loads all files needed to answer; rejects with the name of an invalid file. `onBytes` also counts cached files. */
export async function loadModelFiles(
  modelUrl: string,
  { files, explain, otherHeads }: Pick<ModelManifest, 'files' | 'explain' | 'otherHeads'>,
  onBytes: OnBytes,
  onFile: (path: string) => void,
): Promise<ModelFiles> {
  const cache = await openCache();
  const loaded = await loadFiles(modelUrl, files, cache, onBytes, onFile);
  const ofHeads = Object.values(otherHeads ?? {}).flatMap((head) => Object.values(head?.files ?? {}));
  const listed = [...Object.values({ ...files, ...explain?.files }), ...ofHeads];
  if (cache) void removeUnlisted(cache, modelUrl, new Set(listed.map(({ sha256 }) => sha256)));
  return loaded;
}

/** Loads files that are needed on first use only: those that explain answers, or those of another head. */
export async function loadLaterFiles(modelUrl: string, { files }: Pick<ModelManifest, 'files'>): Promise<ModelFiles> {
  return loadFiles(
    modelUrl,
    files,
    await openCache(),
    () => {},
    () => {},
  );
}

async function loadFiles(
  modelUrl: string,
  files: ModelManifest['files'],
  cache: Cache | undefined,
  onBytes: OnBytes,
  onFile: (path: string) => void,
): Promise<ModelFiles> {
  const loaded = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [path, { sha256, bytes }] of Object.entries(files)) {
    onFile(path);
    loaded.set(path, await loadFile(new URL(path, modelUrl), { path, sha256, bytes }, cache, onBytes));
  }
  return (path) => {
    const bytes = loaded.get(path);
    if (bytes === undefined) throw new Error(`${path} is not among the model's files`);
    return bytes;
  };
}

async function loadFile(url: URL, file: ModelFile, cache: Cache | undefined, onBytes: OnBytes) {
  const key = keyOf(url, file.sha256);
  const kept = await cache?.match(key);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await findMismatch(bytes, file)) === undefined) {
      onBytes(bytes.length);
      return bytes;
    }
    await cache?.delete(key);
  }
  const bytes = await fetchBytes(url, onBytes);
  const mismatch = await findMismatch(bytes, file);
  if (mismatch !== undefined) throw new Error(mismatch);
  // A full disk must not break this visit; the next visit downloads the file again.
  await cache?.put(key, new Response(bytes)).catch(() => undefined);
  return bytes;
}

const cacheName = 'patchlight-models';

/** The cache is unavailable in private windows of some browsers and without a secure context. */
async function openCache(): Promise<Cache | undefined> {
  try {
    return await caches.open(cacheName);
  } catch {
    return undefined;
  }
}

/** Uses `set` rather than `append`, because some URLs already contain the hash. */
function keyOf(url: URL, sha256: string): string {
  const key = new URL(url);
  key.searchParams.set('sha256', sha256);
  return key.href;
}

async function removeUnlisted(cache: Cache, modelUrl: string, listed: ReadonlySet<string>): Promise<void> {
  for (const { url } of await cache.keys()) {
    const sha256 = new URL(url).searchParams.get('sha256') ?? '';
    if (url.startsWith(modelUrl) && !listed.has(sha256)) await cache.delete(url);
  }
}

/**
 * Describes how the bytes differ from the manifest, with the actual and the expected value; undefined if they match.
 */
export async function findMismatch(bytes: Uint8Array<ArrayBuffer>, file: ModelFile): Promise<string | undefined> {
  if (bytes.length !== file.bytes) return `${file.path} has ${bytes.length} bytes; its manifest says ${file.bytes}`;
  const sha256 = await sha256Hex(bytes);
  if (sha256 === file.sha256) return undefined;
  return `${file.path} does not match its checksum: it is ${sha256.slice(0, 12)}…, its manifest says ${file.sha256.slice(0, 12)}…`;
}
