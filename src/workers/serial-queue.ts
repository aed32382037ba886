/** Runs tasks one at a time; a failing task rejects only its own caller. */
export interface SerialQueue {
  run<T>(task: () => Promise<T>): Promise<T>;
}

/** onnxruntime-web needs a serial queue: sessions created or run concurrently fail or deadlock on WebGPU. */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(task) {
      const result = last.then(task);
      last = result.catch(() => undefined);
      return result;
    },
  };
}
