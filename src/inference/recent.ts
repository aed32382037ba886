/** The values that were wanted last, by key. */
export interface Recent<Value> {
  /** Made where it is not kept; what could not be made is not kept. Two calls at once may both make it. */
  ensure(key: string, make: () => Promise<Value>): Promise<Value>;
}

export function createRecent<Value>(count: number): Recent<Value> {
  const kept = new Map<string, Value>();
  return {
    async ensure(key, make) {
      const value = kept.get(key) ?? (await make());
      kept.delete(key);
      kept.set(key, value);
      for (const oldest of kept.keys()) {
        if (kept.size <= count) break;
        kept.delete(oldest);
      }
      return value;
    },
  };
}
