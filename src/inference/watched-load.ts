// Loads in a worker, and starts over on one thread if starting several threads makes no progress. In Firefox (seen in 153,
// in about one load in a hundred), `new Worker` called by a worker never returns: the worker is blocked, without an error,
// and can only be terminated.
import type { LoadProgress } from './load-progress';

/** Each step of a start takes less than a second on an idle laptop. */
const patienceTicks = 20;
const tickMs = 1000;

/** What a worker's load may do: events are its progress. */
type Load<Loaded> = (maxThreads: number | undefined, onProgress: (progress: LoadProgress) => void) => Promise<Loaded>;

export interface WatchedLoad<Loaded> {
  readonly loaded: Loaded;
  /** Whether the first attempt stalled, so that the worker runs on one thread. */
  readonly isRestarted: boolean;
}

/** `endWorker` terminates the worker, which rejects its load; the next load starts a new worker. */
export async function watchLoad<Loaded>(
  load: Load<Loaded>,
  endWorker: () => void,
  onProgress: (progress: LoadProgress) => void,
): Promise<WatchedLoad<Loaded>> {
  let hasStalled = false;
  const watch = createStallWatch(() => {
    hasStalled = true;
    endWorker();
  });
  try {
    const loaded = await load(undefined, (progress) => {
      // A single thread waits for no other, however slow the machine is.
      if ((progress.startingThreads ?? 1) > 1) watch.restart();
      onProgress(progress);
    });
    return { loaded, isRestarted: false };
  } catch (error) {
    if (!hasStalled) throw error;
  } finally {
    watch.stop();
  }
  const loaded = await load(1, (progress) => onProgress({ ...progress, what: `${progress.what}, on one thread` }));
  return { loaded, isRestarted: true };
}

/** Counts its own ticks instead of the clock's time, so that time asleep counts as one tick. */
function createStallWatch(onStall: () => void) {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => clearInterval(timer);
  return {
    restart() {
      stop();
      let ticks = 0;
      timer = setInterval(() => {
        ticks += 1;
        if (ticks < patienceTicks) return;
        stop();
        onStall();
      }, tickMs);
    },
    stop,
  };
}
