// What one browser tab keeps in IndexedDB for its visit: its runs, and their images once each.
import { type DBSchema, openDB } from 'idb';
import type { AnswerStates } from '../contract/answer-states';
import {
  type AnswerToken,
  type AskedImages,
  imagesOf,
  type PromptToken,
  type RelevancyMap,
  type RunEnd,
  type RunHeader,
  type RunImage,
} from '../contract/run';

type KeptImage = Omit<RunImage, 'bytes' | 'picture'>;

/** A run without its images' files and pictures, which many runs may share. */
export interface KeptRun {
  readonly header: Omit<RunHeader, keyof AskedImages> & {
    readonly image: KeptImage;
    readonly images?: readonly KeptImage[] | undefined;
  };
  readonly prompt: readonly PromptToken[];
  readonly tokens: readonly AnswerToken[];
  readonly states: AnswerStates | undefined;
  readonly maps: readonly RelevancyMap[];
  /** Undefined if the page was left while the answer was being written. */
  readonly end: RunEnd | undefined;
}

export interface VisitStore {
  /** The runs and images of this visit, oldest first. */
  read(): Promise<readonly { readonly run: KeptRun; readonly images: readonly RunImage[] }[]>;
  hasImage(sha256: string): Promise<boolean>;
  putImage(image: RunImage): Promise<void>;
  putRun(run: KeptRun): Promise<void>;
  dropRun(id: string): Promise<void>;
  dropImage(sha256: string): Promise<void>;
}

interface Stored<Value> {
  readonly visit: string;
  readonly key: string;
  readonly storedAt: number;
  readonly value: Value;
}

interface Schema extends DBSchema {
  runs: { key: [string, string]; value: Stored<KeptRun> & { readonly begunAt: number }; indexes: { storedAt: number } };
  images: { key: [string, string]; value: Stored<RunImage>; indexes: { storedAt: number } };
}

/** Increase it when `KeptRun` changes: an upgrade discards what an older page stored. */
const version = 2;
/** A closed tab cannot remove its runs, so another visit does, after this time. */
const maxAgeMs = 7 * 24 * 3600 * 1000;

/** Rejects if the browser offers no IndexedDB, as in some private windows. */
export async function openVisitStore(visit: string): Promise<VisitStore> {
  const db = await openDB<Schema>('patchlight-visits', version, {
    upgrade(database) {
      for (const name of Array.from(database.objectStoreNames)) database.deleteObjectStore(name);
      for (const name of ['runs', 'images'] as const) {
        database.createObjectStore(name, { keyPath: ['visit', 'key'] }).createIndex('storedAt', 'storedAt');
      }
    },
    // Another tab has a newer page: make way for its upgrade.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
  });
  const ofVisit = IDBKeyRange.bound([visit, ''], [visit, []]);
  const stored = (key: string) => ({ visit, key, storedAt: Date.now() });
  await removeOld();

  async function removeOld(): Promise<void> {
    const old = IDBKeyRange.upperBound(Date.now() - maxAgeMs);
    for (const name of ['runs', 'images'] as const) {
      for (const key of await db.getAllKeysFromIndex(name, 'storedAt', old)) {
        if (key[0] !== visit) await db.delete(name, key);
      }
    }
  }

  return {
    async read() {
      const [runs, images] = await Promise.all([db.getAll('runs', ofVisit), db.getAll('images', ofVisit)]);
      const imageOf = new Map(images.map(({ key, value }) => [key, value]));
      return runs
        .sort((a, b) => a.begunAt - b.begunAt)
        .flatMap(({ value: run }) => {
          const kept = imagesOf<KeptImage>(run.header);
          const found = kept.map(({ sha256 }) => imageOf.get(sha256)).filter((image) => image !== undefined);
          return found.length === kept.length ? [{ run, images: found }] : [];
        });
    },
    hasImage: async (sha256) => (await db.count('images', [visit, sha256])) > 0,
    putImage: async (image) => void (await db.put('images', { ...stored(image.sha256), value: image })),
    async putRun(run) {
      const { id } = run.header;
      const begunAt = (await db.get('runs', [visit, id]))?.begunAt ?? Date.now();
      await db.put('runs', { ...stored(id), begunAt, value: run });
    },
    dropRun: (id) => db.delete('runs', [visit, id]),
    dropImage: (sha256) => db.delete('images', [visit, sha256]),
  };
}
