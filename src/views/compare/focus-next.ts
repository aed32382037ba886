import { useEffect, useRef } from 'react';

/**
 * Returns a function that focuses the element matching a selector after the next render, for cases where the focused
 * element may be removed.
 */
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
