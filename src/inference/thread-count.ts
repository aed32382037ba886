/** What limits the number of threads; a worker passes its own global scope. */
export interface ThreadFacts {
  readonly crossOriginIsolated: boolean;
  /** WebKitGTK leaves it out even on an isolated page. */
  readonly SharedArrayBuffer?: unknown;
  readonly navigator: { readonly hardwareConcurrency?: number };
}

/** Leaves larger machines some cores for the page. */
const limit = 4;

/** Number of threads for WebAssembly, the calling one included. */
export function threadCount(scope: ThreadFacts, maxThreads = limit): number {
  if (!scope.crossOriginIsolated || scope.SharedArrayBuffer === undefined) return 1;
  return Math.max(1, Math.min(scope.navigator.hardwareConcurrency ?? 1, limit, maxThreads));
}
