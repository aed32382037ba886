import type { CalibrationRow } from '../statistics/api';
import type { Services } from './services';

export type SampleOpening =
  | { readonly kind: 'opened' }
  /** Another one was opened meanwhile. */
  | { readonly kind: 'overtaken' }
  | { readonly kind: 'refused'; readonly reason: string };

const opened = new Set<string>();

let turn = 0;

/** Whether a picture of this name was opened out of a data set in this visit. */
export function isSampleOfDataSet(imageName: string): boolean {
  return opened.has(imageName);
}

/** Asks a sample's question about its picture, as a run of its own; the one opened last. Where the picture is not to be had, nothing changes. */
export async function openSample(
  { intake, asking }: Pick<Services, 'intake' | 'asking'>,
  row: CalibrationRow,
  folderUrl: string | undefined,
): Promise<SampleOpening> {
  if (row.image === undefined)
    return { kind: 'refused', reason: `The table names no picture for sample ${row.id}, so it cannot be asked again.` };
  if (folderUrl === undefined)
    return {
      kind: 'refused',
      reason: `Only the table was loaded: the picture ${row.image} of sample ${row.id} is not here, so it cannot be asked again.`,
    };
  turn += 1;
  const mine = turn;
  const response = await fetch(`${folderUrl}${row.image}`).catch(() => undefined);
  const picture = await response?.blob().catch(() => undefined);
  if (mine !== turn) return { kind: 'overtaken' };
  // A server of one page answers with that page what it does not have.
  if (!response?.ok || !picture || !response.headers.get('content-type')?.startsWith('image/'))
    return {
      kind: 'refused',
      reason: `The picture ${row.image} of sample ${row.id} is not where the data set should be (${response?.status ?? 'no answer'}).`,
    };
  const name = row.image.slice(row.image.lastIndexOf('/') + 1);
  opened.add(name);
  intake.takeFile(new File([picture], name, { type: response.headers.get('content-type') ?? '' }));
  asking.ask(row.question);
  return { kind: 'opened' };
}
