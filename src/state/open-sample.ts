import type { QueryClient } from '@tanstack/react-query';
import type { CalibrationRow } from '../statistics/api';
import { readDatasetImage } from './dataset-images';
import type { Services } from './services';
import type { OpenCalibration } from './statistics-queries';

export type SampleOpening =
  | { readonly kind: 'opened' }
  /** Another sample was opened in the meantime. */
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'refused'; readonly reason: string };

type SampleServices = Pick<Services, 'intake' | 'asking'> & { readonly queries: QueryClient };

const opened = new Set<string>();

let turn = 0;

/** Whether an image with this name was opened from a dataset during this visit. */
export function isDatasetSample(imageName: string): boolean {
  return opened.has(imageName);
}

/**
 * Asks a sample's question about its image, as a new run. If several samples are opened, the last one wins. If the
 * image cannot be read, nothing changes.
 */
export async function openSample(
  { intake, asking, queries }: SampleServices,
  row: CalibrationRow,
  { loaded, folderUrl }: OpenCalibration,
): Promise<SampleOpening> {
  if (row.image === undefined)
    return { kind: 'refused', reason: `The table names no image for sample ${row.id}, so it cannot be asked again.` };
  if (folderUrl === undefined)
    return {
      kind: 'refused',
      reason: `Only the table was loaded: the image ${row.image} of sample ${row.id} is missing, so it cannot be asked again.`,
    };
  const packed = loaded.facts?.images;
  if (!packed)
    return {
      kind: 'refused',
      reason: `The calibration does not include its images, so sample ${row.id} cannot be asked again.`,
    };
  turn += 1;
  const ownTurn = turn;
  const image = await readDatasetImage(queries, { folderUrl, ...packed }, row.image).catch(toError);
  if (ownTurn !== turn) return { kind: 'overtaken' };
  if (image instanceof Error)
    return {
      kind: 'refused',
      reason: `The image ${row.image} of sample ${row.id} could not be read: ${image.message}.`,
    };
  opened.add(image.name);
  intake.takeFile(image);
  asking.ask(row.question);
  return { kind: 'opened' };
}

const toError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
