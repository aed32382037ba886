/** A small LRU cache. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  /** Stores and returns `value`; may drop the least recently used value. */
  keep(key: string, value: Value): Value;
}

export function createRecent<Value extends object>(count: number): Recent<Value> {
  const kept = new Map<string, Value>();

  function keep(key: string, value: Value): Value {
    kept.delete(key);
    kept.set(key, value);
    const [oldest] = kept.keys();
    if (kept.size > count && oldest !== undefined) kept.delete(oldest);
    return value;
  }

  return {
    get(key) {
      const value = kept.get(key);
      return value && keep(key, value);
    },
    keep,
  };
}
