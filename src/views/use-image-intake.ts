import { useMemo } from 'react';
import { useChoices } from '../state/choices';
import { useDraft } from '../state/draft';
import { fetchOk, openRecordedRun } from '../state/sample-queries';
import type { Services } from '../state/services';
import { useServices } from './services-context';

export interface ImageIntake {
  /** An image to ask about, or a saved run (`.run`) to look at. */
  takeFile(file: File): void;
  takeUrl(url: string, name: string, alt: string): void;
}

export function useImageIntake(): ImageIntake {
  const services = useServices();
  return useMemo(() => createImageIntake(services), [services]);
}

/** The newest intake wins: one that takes long to decode must not replace a later choice. */
let newest = 0;

function createImageIntake(services: Services): ImageIntake {
  const take = async (file: Blob, name: string, alt: string) => {
    const mine = ++newest;
    const reading = await services.readImage(file, name);
    if (mine !== newest) return;
    const draft = useDraft.getState();
    if (reading.kind === 'refused') draft.setProblem({ kind: 'image', reason: reading.reason });
    else draft.setImage(services.shelf.put(reading.image, reading, alt));
  };
  const openRun = async (file: Blob) => {
    const id = await openRecordedRun(services, new Uint8Array(await file.arrayBuffer()));
    useDraft.getState().setImage(undefined);
    useChoices.getState().showRun(id);
  };
  const refuse = (kind: 'image' | 'file') => (error: unknown) =>
    useDraft.getState().setProblem({ kind, reason: error instanceof Error ? error.message : String(error) });
  return {
    takeFile(file) {
      if (file.name.endsWith('.run')) openRun(file).catch(refuse('file'));
      else take(file, file.name || 'pasted image', `Your image, ${file.name || 'pasted'}`).catch(refuse('image'));
    },
    takeUrl(url, name, alt) {
      fetchOk(url)
        .then((response) => response.blob())
        .then((blob) => take(blob, name, alt))
        .catch(refuse('image'));
    },
  };
}
