import { useEffect, useState } from 'react';

const quietMs = 8000;

/** Whether nothing new has come for a while, where something should: `news` is another value each time that it does. */
export function useIsQuiet(isExpecting: boolean, news: unknown): boolean {
  const [quiet, setQuiet] = useState<{ readonly since: unknown }>();
  useEffect(() => {
    if (!isExpecting) return;
    const timer = setTimeout(() => setQuiet({ since: news }), quietMs);
    return () => clearTimeout(timer);
  }, [isExpecting, news]);
  return isExpecting && quiet !== undefined && quiet.since === news;
}
