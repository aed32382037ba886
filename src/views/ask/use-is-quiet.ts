import { useEffect, useState } from 'react';

const quietMs = 8000;

/** True if `latest` has not changed for `quietMs` while `isExpecting` is true. */
export function useIsQuiet(isExpecting: boolean, latest: unknown): boolean {
  const [quiet, setQuiet] = useState<{ readonly since: unknown }>();
  useEffect(() => {
    if (!isExpecting) return;
    const timer = setTimeout(() => setQuiet({ since: latest }), quietMs);
    return () => clearTimeout(timer);
  }, [isExpecting, latest]);
  return isExpecting && quiet !== undefined && quiet.since === latest;
}
