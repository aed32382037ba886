import { useIsFetching } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useAsking } from '../state/ask-session';
import { useIntake } from '../state/image-intake';
import { useSourceStatus } from './use-run';

/** Says on <html> whether anything is still under way, for tests that would else have to sleep. */
export function IdleSignal() {
  const fetching = useIsFetching();
  const { asking } = useAsking();
  const { isReading } = useIntake();
  const { phase } = useSourceStatus();
  const isBusy = fetching > 0 || isReading || asking.phase !== 'idle' || phase === 'loading' || phase === 'idle';
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.idle = 'false';
    if (isBusy) return;
    let isCurrent = true;
    const images = Array.from(document.images)
      .filter(isWanted)
      .map((image) => image.decode().catch(() => {}));
    Promise.all([document.fonts.ready, ...images]).then(() => {
      // Two frames: one to lay out what the state says, one to have painted it.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          if (isCurrent) root.dataset.idle = 'true';
        }),
      );
    });
    return () => {
      isCurrent = false;
    };
  }, [isBusy]);
  return null;
}

/** A lazy image far below the screen does not begin to load, and is not waited for. */
function isWanted(image: HTMLImageElement): boolean {
  return image.loading !== 'lazy' || image.getBoundingClientRect().top < 2 * window.innerHeight;
}
