import { create } from 'zustand';
import type { RunImage } from '../contract/run';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { fetchOk } from './fetch-ok';
import type { ImageShelf } from './image-shelf';
import { openRecordedRun, type RecordedRuns } from './recorded-runs';

export type ImageReading =
  | { readonly kind: 'image'; readonly image: RunImage; readonly widthPx: number; readonly heightPx: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** How files become images, and where the one being prepared is kept. */
export interface ImageReader {
  readonly shelf: ImageShelf;
  /** Checks kind, bytes and pixels before it decodes. */
  readImage(file: Blob, name: string): Promise<ImageReading>;
}

/** Whether a chosen file is still being read. */
export const useIntake = create<{ readonly isReading: boolean }>(() => ({ isReading: false }));

export interface ImageIntake {
  /** An image to ask about, or a saved run (`.run`) to look at. */
  takeFile(file: File): void;
  takeUrl(url: string, name: string, alt: string): void;
  /** Back to the run on screen: the chosen image, read or still being read, is given up. */
  drop(): void;
  /** Resolves when no file is being read any more; false if the last one chosen could not be used. */
  settled(): Promise<boolean>;
  /** What a question would be about: the image chosen last, else that of the run on screen. */
  image(): RunImage | undefined;
}

/** From the first file chosen to the end of the last: one chosen later takes the place of those before it. */
interface Reading {
  readonly settled: Promise<boolean>;
  settle(isUsable: boolean): void;
}

export function createImageIntake(services: RecordedRuns & ImageReader): ImageIntake {
  const { library, shelf, readImage } = services;
  let reading: Reading | undefined;
  let turn = 0;

  function finish(isUsable: boolean): void {
    reading?.settle(isUsable);
    reading = undefined;
    useIntake.setState({ isReading: false });
  }

  /** `read` gives what is then to be done; where it fails, its message is the problem shown. */
  async function take(kind: 'image' | 'file', read: () => Promise<() => void>): Promise<void> {
    turn += 1;
    const mine = turn;
    reading ??= createReading();
    useIntake.setState({ isReading: true });
    let isUsable = false;
    try {
      const show = await read();
      if (mine !== turn) return;
      show();
      isUsable = true;
    } catch (error) {
      if (mine !== turn) return;
      const reason = error instanceof Error ? error.message : String(error);
      useDraft.getState().setProblem({ kind, reason });
    }
    finish(isUsable);
  }

  async function readForDraft(file: Blob, name: string, alt: string): Promise<() => void> {
    const read = await readImage(file, name);
    if (read.kind === 'refused') throw new Error(read.reason);
    return () => useDraft.getState().setImage(shelf.put(read.image, read, alt));
  }

  async function readRun(file: File): Promise<() => void> {
    const id = await openRecordedRun(services, new Uint8Array(await file.arrayBuffer()));
    return () => {
      useDraft.getState().setImage(undefined);
      useChoices.getState().showRun(id);
    };
  }

  return {
    takeFile(file) {
      const name = file.name || 'pasted image';
      if (file.name.endsWith('.run')) void take('file', () => readRun(file));
      else void take('image', () => readForDraft(file, name, `Your image, ${name}`));
    },
    takeUrl(url, name, alt) {
      void take('image', async () => readForDraft(await (await fetchOk(url)).blob(), name, alt));
    },
    drop() {
      turn += 1;
      finish(true);
      useDraft.getState().setImage(undefined);
    },
    settled: async () => reading?.settled ?? true,
    image() {
      const { image } = useDraft.getState();
      if (image) return shelf.bytesOf(image.id);
      const { runId } = useChoices.getState();
      return runId === undefined ? undefined : library.get(runId)?.snapshot().header.image;
    },
  };
}

function createReading(): Reading {
  let settle = (_isUsable: boolean) => {};
  const settled = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}
