import { type QueryClient, queryOptions } from '@tanstack/react-query';
import { parseImageIndex } from '../contract/image-index';
import { readPackedImage } from '../source/packed-image';
import { fetchOk } from './fetch-ok';

/** The index does not change while the page is open. */
function imageIndexQuery(url: string) {
  return queryOptions({
    queryKey: ['image-index', url],
    queryFn: async ({ signal }) => parseImageIndex(await (await fetchOk(url, signal)).json()),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}

/** Reads one image of a dataset with a range request on the packed file. Throws if it cannot be read. */
export async function readDatasetImage(
  queries: QueryClient,
  { folderUrl, file, index }: { readonly folderUrl: string; readonly file: string; readonly index: string },
  image: string,
): Promise<File> {
  const { images, mediaType } = await queries.fetchQuery(imageIndexQuery(`${folderUrl}${index}`));
  const place = images[image];
  if (place === undefined) throw new Error(`${index} does not list it`);
  const bytes = await readPackedImage(`${folderUrl}${file}`, place);
  return new File([bytes], image.slice(image.lastIndexOf('/') + 1), { type: mediaType });
}
