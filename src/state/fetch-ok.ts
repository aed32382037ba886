/** `fetch` that rejects on any status other than 2xx. */
export async function fetchOk(url: string, signal?: AbortSignal): Promise<Response> {
  return ensureOk(url, await fetch(url, signal ? { signal } : {}));
}

/**
 * The response to a request for a file that need not exist; undefined if it does not. Rejects on any other status than
 * 2xx.
 */
export async function fetchIfAny(url: string, signal?: AbortSignal): Promise<Response | undefined> {
  const response = await fetch(url, signal ? { signal } : {});
  // Some servers answer with the page itself where there is no file.
  const isPage = response.ok && response.headers.get('content-type')?.includes('text/html');
  return response.status === 404 || isPage ? undefined : ensureOk(url, response);
}

function ensureOk(url: string, response: Response): Response {
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response;
}
