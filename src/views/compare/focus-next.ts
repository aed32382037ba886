import { useEffect, useRef } from 'react';

/** Where the focus goes once what was asked for is drawn: the place it was in may be gone. */
export function useFocusNext(): (selector: string) => void {
  const wanted = useRef<string>(undefined);
  useEffect(() => {
    if (wanted.current === undefined) return;
    document.querySelector<HTMLElement>(wanted.current)?.focus();
    wanted.current = undefined;
  });
  return (selector) => {
    wanted.current = selector;
  };
}
