import { create } from 'zustand';
import type { CheckedImage } from '../contract/checked-image';
import type { RunImage } from '../contract/run';
import { reasonOf } from '../text/reason-of';
import { tooManyFiles } from '../text/too-many-files';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { fetchOk } from './fetch-ok';
import type { ImageShelf } from './image-shelf';
import { openRecordedRun, type RecordedRuns } from './recorded-runs';

/** Reads files as images, and keeps the image being prepared. */
export interface ImageReader {
  readonly shelf: ImageShelf;
  /** Checks file type, byte size and pixel count before decoding. */
  readImage(file: Blob, name: string): Promise<CheckedImage>;
  /** Resolves to why the model that answers would refuse an image, as a sentence, as far as it is known. */
  checkImage(image: RunImage): Promise<string | undefined>;
}

/** Whether a chosen file is still being read. */
export const useIntake = create<{ readonly isReading: boolean }>(() => ({ isReading: false }));

export interface ImageIntake {
  /** Accepts an image to ask about, or a run file (`.run`) to open. */
  takeFile(file: File): void;
  /** Accepts the file of a drop or paste; if there are several, accepts none and says so. */
  takeFiles(files: readonly File[]): void;
  takeUrl(url: string, name: string, alt: string): void;
  /** Discards the chosen image, even if it is still being read, and returns to the run on screen. */
  drop(): void;
  /** Resolves once no file is being read: to false if the last file could not be used, otherwise to true. */
  settled(): Promise<boolean>;
  /**
   * The image that a question would be about: the chosen image or, if there is none, the image of the run on screen.
   */
  image(): RunImage | undefined;
}

/** Lasts from the first chosen file until the last one has been read, because a later file replaces earlier ones. */
interface PendingIntake {
  readonly settled: Promise<boolean>;
  settle(isUsable: boolean): void;
}

export function createImageIntake(services: RecordedRuns & ImageReader): ImageIntake {
  const { library, shelf, readImage, checkImage } = services;
  let pending: PendingIntake | undefined;
  let turn = 0;

  function finish(isUsable: boolean): void {
    pending?.settle(isUsable);
    pending = undefined;
    useIntake.setState({ isReading: false });
  }

  /** `read` returns a callback that shows the result; if `read` throws, the message is shown as the problem. */
  async function take(kind: 'image' | 'file', read: () => Promise<() => void>): Promise<void> {
    turn += 1;
    const ownTurn = turn;
    pending ??= createPendingIntake();
    useIntake.setState({ isReading: true });
    let isUsable = false;
    try {
      const show = await read();
      if (ownTurn !== turn) return;
      show();
      isUsable = true;
    } catch (error) {
      if (ownTurn !== turn) return;
      const reason = reasonOf(error);
      useDraft.getState().setProblem({ kind, reason });
    }
    finish(isUsable);
  }

  async function readForDraft(file: Blob, name: string, alt: string): Promise<() => void> {
    const read = await readImage(file, name);
    if (read.kind === 'refused') throw new Error(read.reason);
    const refusal = await checkImage(read.image);
    if (refusal !== undefined) throw new Error(refusal);
    return () => useDraft.getState().setImage(shelf.put(read.image, alt));
  }

  async function readRun(file: File): Promise<() => void> {
    const id = await openRecordedRun(services, new Uint8Array(await file.arrayBuffer()));
    return () => {
      useDraft.getState().setImage(undefined);
      useChoices.getState().showRun(id);
    };
  }

  function takeFile(file: File): void {
    const name = file.name || 'pasted image';
    if (file.name.endsWith('.run')) void take('file', () => readRun(file));
    else void take('image', () => readForDraft(file, name, `Your image, ${name}`));
  }

  return {
    takeFile,
    takeFiles(files) {
      const [file, second] = files;
      if (second === undefined) {
        if (file) takeFile(file);
        return;
      }
      useDraft.getState().setProblem({ kind: 'image', reason: tooManyFiles(files.length, 'image or run file') });
    },
    takeUrl(url, name, alt) {
      void take('image', async () => readForDraft(await (await fetchOk(url)).blob(), name, alt));
    },
    drop() {
      turn += 1;
      finish(true);
      useDraft.getState().setImage(undefined);
    },
    settled: async () => pending?.settled ?? true,
    image() {
      const { image } = useDraft.getState();
      if (image) return shelf.bytesOf(image.id);
      const { runId } = useChoices.getState();
      return runId === undefined ? undefined : library.get(runId)?.snapshot().header.image;
    },
  };
}

function createPendingIntake(): PendingIntake {
  let settle = (_isUsable: boolean) => {};
  const settled = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}
