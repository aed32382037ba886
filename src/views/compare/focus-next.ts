import { useEffect, useRef } from 'react';

/** Returns a function that focuses a selector after the next render, for when the focused element may be removed. */
export function useFocusNext(): (selector: string) => void {
  const pending = useRef<string>(undefined);
  useEffect(() => {
    if (pending.current === undefined) return;
    document.querySelector<HTMLElement>(pending.current)?.focus();
    pending.current = undefined;
  });
  return (selector) => {
    pending.current = selector;
  };
}
