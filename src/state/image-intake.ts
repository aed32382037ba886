import { create } from 'zustand';
import type { RunImage } from '../contract/run';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { fetchOk, openRecordedRun } from './sample-queries';
import type { Services } from './services';

/** Whether a chosen file is still being read. */
export const useIntake = create<{ readonly isReading: boolean }>(() => ({ isReading: false }));

export interface ImageIntake {
  /** An image to ask about, or a saved run (`.run`) to look at. */
  takeFile(file: File): void;
  takeUrl(url: string, name: string, alt: string): void;
  /** Resolves when no file is being read any more; false if the last that was could not be used. */
  settled(): Promise<boolean>;
  /** What a question would be about: the image chosen last, else that of the run on screen. */
  image(): RunImage | undefined;
}

/** One file at a time is read; one chosen later wins, however long each takes. */
export function createImageIntake(
  services: Pick<Services, 'library' | 'shelf' | 'readImage' | 'openRecorded'>,
): ImageIntake {
  const { library, shelf, readImage } = services;
  let newest: Promise<boolean> | undefined;

  /** `read` gives what is then to be done; where it fails, its message is the problem shown. */
  function take(kind: 'image' | 'file', read: () => Promise<() => void>): void {
    const mine = read().then(
      (show) => {
        if (newest === mine) show();
        return true;
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        if (newest === mine) useDraft.getState().setProblem({ kind, reason });
        return false;
      },
    );
    newest = mine;
    useIntake.setState({ isReading: true });
    mine.then(() => {
      if (newest !== mine) return;
      newest = undefined;
      useIntake.setState({ isReading: false });
    });
  }

  async function readForDraft(file: Blob, name: string, alt: string): Promise<() => void> {
    const reading = await readImage(file, name);
    if (reading.kind === 'refused') throw new Error(reading.reason);
    return () => useDraft.getState().setImage(shelf.put(reading.image, reading, alt));
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
      if (file.name.endsWith('.run')) take('file', () => readRun(file));
      else take('image', () => readForDraft(file, name, `Your image, ${name}`));
    },
    takeUrl(url, name, alt) {
      take('image', async () => readForDraft(await (await fetchOk(url)).blob(), name, alt));
    },
    async settled() {
      let isUsable = true;
      while (newest) isUsable = await newest;
      return isUsable;
    },
    image() {
      const { image } = useDraft.getState();
      if (image) return shelf.bytesOf(image.id);
      const { runId } = useChoices.getState();
      return runId === undefined ? undefined : library.get(runId)?.snapshot().header.image;
    },
  };
}
