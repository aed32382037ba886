/** Runs tasks one after the other; a task that fails fails its own caller only. */
export interface SerialQueue {
  run<T>(task: () => Promise<T>): Promise<T>;
}

/** onnxruntime-web wants one: sessions made or run side by side fail or deadlock on WebGPU. */
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
