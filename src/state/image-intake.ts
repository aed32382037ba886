import { create } from 'zustand';
import type { CheckedImage } from '../contract/checked-image';
import { imagesOf, type RunImage } from '../contract/run';
import { reasonOf } from '../text/reason-of';
import { tooManyImages } from '../text/too-many-files';
import { useChoices } from './choices';
import { type DraftImage, draftImages, useDraft } from './draft';
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
  /** Number of images that a question may be about, as far as it is known. */
  maxImages(): number;
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
  /**
   * Accepts the files of a drop or paste. Several must be images, as many as a question may have; otherwise, accepts none
   * and says so.
   */
  takeFiles(files: readonly File[]): void;
  takeUrl(url: string, name: string, alt: string): void;
  /** Shows a recorded run once `open` returns its id, unless the user chooses something else first. */
  takeRecorded(open: () => Promise<string>, onShown: () => void): void;
  /** Discards the chosen images, even if one is still being read, and returns to the run on screen. */
  drop(): void;
  /** Leaves one of several images out of the question, by its index in `images`. */
  remove(at: number): void;
  /**
   * Resolves once no file is being read and the example or image that the page starts with has arrived or failed: to false if
   * the last file could not be used, otherwise to true.
   */
  settled(): Promise<boolean>;
  /**
   * The images that a question would be about: those chosen or, if there are none, those of the run on screen. Empty if
   * there is neither.
   */
  images(): readonly RunImage[];
}

interface ChosenImage {
  readonly file: Blob | (() => Promise<Blob>);
  readonly name: string;
  readonly alt: string;
}

/** Lasts from the first chosen file until the last one has been read, because a later file replaces earlier ones. */
interface PendingIntake {
  readonly settled: Promise<boolean>;
  settle(isUsable: boolean): void;
}

export function createImageIntake(services: RecordedRuns & ImageReader): ImageIntake {
  const { library, shelf, readImage, checkImage, maxImages } = services;
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

  async function readUsable({ file, name }: ChosenImage): Promise<RunImage> {
    const read = await readImage(file instanceof Blob ? file : await file(), name);
    if (read.kind === 'refused') throw new Error(read.reason);
    const refusal = await checkImage(read.image);
    if (refusal !== undefined) throw new Error(refusal);
    return read.image;
  }

  function takeImages(chosen: readonly ChosenImage[]): void {
    const { isAdding } = useDraft.getState();
    void take('image', async () => {
      const images: RunImage[] = [];
      for (const one of chosen) images.push(await readUsable(one));
      return () => {
        let all = isAdding ? asDraft() : [];
        for (const [at, image] of images.entries()) all = [...all, shelf.put(image, chosen[at]!.alt, all)];
        useDraft.getState().setImages(all);
      };
    });
  }

  /** The chosen images; those of the run on screen if there are none, so that others can be added. */
  function asDraft(): readonly DraftImage[] {
    const drafts = draftImages(useDraft.getState());
    if (drafts.length > 0) return drafts;
    let all: readonly DraftImage[] = [];
    for (const image of images()) all = [...all, shelf.put(image, image.name, all)];
    return all;
  }

  async function readRun(open: () => Promise<string>): Promise<() => void> {
    const id = await open();
    return () => {
      useDraft.getState().setImage(undefined);
      useChoices.getState().showRun(id);
    };
  }

  const openFile = async (file: File) => openRecordedRun(services, new Uint8Array(await file.arrayBuffer()));

  function images(): readonly RunImage[] {
    const drafts = draftImages(useDraft.getState());
    if (drafts.length > 0) return drafts.map(({ id }) => shelf.bytesOf(id)).filter((image) => image !== undefined);
    const { runId } = useChoices.getState();
    const run = runId === undefined ? undefined : library.get(runId)?.snapshot();
    return run === undefined ? [] : imagesOf(run.header);
  }

  async function settled(): Promise<boolean> {
    for (;;) {
      if (pending) {
        if (!(await pending.settled)) return false;
      } else if (images().length > 0 || !useIntake.getState().isOpening) {
        return true;
      } else {
        await nextChange();
      }
    }
  }

  const isRun = ({ name }: File) => name.endsWith('.run');

  function chosenFile(file: File): ChosenImage {
    const name = file.name || 'pasted image';
    return { file, name, alt: `Your image, ${name}` };
  }

  function takeFile(file: File): void {
    if (isRun(file)) void take('file', () => readRun(() => openFile(file)));
    else takeImages([chosenFile(file)]);
  }

  /** Number of images that may be chosen at once. */
  function room(): number {
    return maxImages() - (useDraft.getState().isAdding ? images().length : 0);
  }

  return {
    takeFile,
    takeFiles(files) {
      const [file, second] = files;
      if (second === undefined) {
        if (file) takeFile(file);
        return;
      }
      if (files.length <= room() && !files.some(isRun)) {
        takeImages(files.map(chosenFile));
        return;
      }
      useDraft.getState().setProblem({ kind: 'image', reason: tooManyImages(files.length, maxImages()) });
    },
    takeUrl(url, name, alt) {
      takeImages([{ file: async () => (await fetchOk(url)).blob(), name, alt }]);
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
    remove(at) {
      if (images().length < 2) return;
      useDraft.getState().setImages(asDraft().filter((_, i) => i !== at));
    },
    settled,
    images,
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
