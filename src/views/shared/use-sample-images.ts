import { useQuery } from '@tanstack/react-query';
import { useCallback, useSyncExternalStore } from 'react';
import type { Photograph } from '../../contract/photographs-index';
import type { SampleImage } from '../../contract/samples-index';
import { sampleKind } from '../../state/sample-images';
import { photographsQuery, samplesIndexQuery } from '../../state/sample-queries';
import { useServices } from './services-context';

export interface SampleImages {
  readonly folderUrl: string;
  /** Empty until known. */
  readonly images: readonly (SampleImage | Photograph)[];
  readonly error: Error | null;
  /** Reads what could not be read again. */
  retry(): void;
}

/** The sample images that suit the model. */
export function useSampleImages(): SampleImages {
  const services = useServices();
  const { source, samplesUrl, photographsUrl } = services;
  const scenes = useQuery(samplesIndexQuery(services));
  // A string, so that the progress of loading a model does not re-render the callers.
  const kind = useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    () => sampleKind(source, scenes.error ? 'failed' : scenes.data),
  );
  const photographs = useQuery({ ...photographsQuery(services), enabled: kind === 'photographs' });
  const retry = () => {
    if (scenes.error) void scenes.refetch();
    if (photographs.error) void photographs.refetch();
  };
  const error = kind === 'photographs' ? photographs.error : scenes.error;
  if (kind === 'photographs') return { folderUrl: photographsUrl, images: photographs.data ?? none, error, retry };
  return { folderUrl: samplesUrl, images: (kind && scenes.data?.images) ?? none, error, retry };
}

const none: readonly SampleImage[] = [];
