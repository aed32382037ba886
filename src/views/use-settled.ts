import { useEffect, useState } from 'react';

const settleMs = 160;

/** A value once it has not changed for a while: what is costly is computed of it, and not of each on the way. */
export function useSettled<Value>(value: Value): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), settleMs);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
