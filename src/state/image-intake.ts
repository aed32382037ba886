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

export interface Intake {
  /** Whether a chosen file is still being read. */
  readonly isReading: boolean;
  /** Whether the example or image that the page starts with has not arrived yet. */
  readonly isOpening: boolean;
}

export const useIntake = create<Intake>(() => ({ isReading: false, isOpening: false }));

export interface ImageIntake {
  /** Accepts an image to ask about, or a run file (`.run`) to open. */
  takeFile(file: File): void;
  /** Accepts the file of a drop or paste; if there are several, accepts none and says so. */
  takeFiles(files: readonly File[]): void;
  takeUrl(url: string, name: string, alt: string): void;
  /** Shows a recorded run once `open` returns its id, unless the user chooses something else first. */
  takeRecorded(open: () => Promise<string>, onShown: () => void): void;
  /** Discards the chosen image, even if it is still being read, and returns to the run on screen. */
  drop(): void;
  /**
   * Resolves once no file is being read and the example or image that the page starts with has arrived or failed: to false if
   * the last file could not be used, otherwise to true.
   */
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

  async function readRun(open: () => Promise<string>): Promise<() => void> {
    const id = await open();
    return () => {
      useDraft.getState().setImage(undefined);
      useChoices.getState().showRun(id);
    };
  }

  const openFile = async (file: File) => openRecordedRun(services, new Uint8Array(await file.arrayBuffer()));

  function image(): RunImage | undefined {
    const draft = useDraft.getState().image;
    if (draft) return shelf.bytesOf(draft.id);
    const { runId } = useChoices.getState();
    return runId === undefined ? undefined : library.get(runId)?.snapshot().header.image;
  }

  async function settled(): Promise<boolean> {
    for (;;) {
      if (pending) {
        if (!(await pending.settled)) return false;
      } else if (image() !== undefined || !useIntake.getState().isOpening) {
        return true;
      } else {
        await nextChange();
      }
    }
  }

  function takeFile(file: File): void {
    const name = file.name || 'pasted image';
    if (file.name.endsWith('.run')) void take('file', () => readRun(() => openFile(file)));
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
    takeRecorded(open, onShown) {
      void take('file', async () => {
        const show = await readRun(open);
        return () => {
          show();
          onShown();
        };
      });
    },
    drop() {
      turn += 1;
      finish(true);
      useDraft.getState().setImage(undefined);
    },
    settled,
    image,
  };
}

/** Resolves when the image that a question would be about may have changed. */
function nextChange(): Promise<void> {
  return new Promise((resolve) => {
    const stops = [useIntake, useDraft, useChoices].map((store) =>
      store.subscribe(() => {
        for (const stop of stops) stop();
        resolve();
      }),
    );
  });
}

function createPendingIntake(): PendingIntake {
  let settle = (_isUsable: boolean) => {};
  const settled = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}
