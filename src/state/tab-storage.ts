/** The storage that belongs to this tab and survives a reload; undefined if the browser blocks it. */
export function tabStorage(): Storage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}
