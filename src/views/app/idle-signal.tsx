import { useIsFetching } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useAsking } from '../../state/ask-session';
import { type OwnCalibration, useOwnCalibration } from '../../state/calibration-files';
import { type Explaining, useExplaining } from '../../state/explain-session';
import { useIntake } from '../../state/image-intake';
import { useSourceStatus } from '../shared/use-run';

const selectIsExplaining = ({ running }: Explaining) => running !== undefined;

const selectIsReadingTable = ({ reading }: OwnCalibration) => reading !== undefined;

/**
 * `data-idle` of <html>, which tests wait for: `true` if nothing is under way, `loading` if only the model still loads,
 * else `false`.
 */
export function IdleSignal() {
  const fetching = useIsFetching();
  const { asking } = useAsking();
  const { isReading } = useIntake();
  const isExplaining = useExplaining(selectIsExplaining);
  const isReadingTable = useOwnCalibration(selectIsReadingTable);
  const { phase } = useSourceStatus();
  const isLoading = phase === 'loading' || phase === 'idle';
  const isBusy = fetching > 0 || isReading || isReadingTable || asking.phase !== 'idle' || isExplaining;
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.idle = 'false';
    if (isBusy) return;
    let isCurrent = true;
    const images = Array.from(document.images)
      .filter(isToCome)
      .map((image) => image.decode().catch(() => {}));
    Promise.all([document.fonts.ready, ...images]).then(() => {
      // Two frames: one to lay out what the state says, one to have painted it.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          if (isCurrent) root.dataset.idle = isLoading ? 'loading' : 'true';
        }),
      );
    });
    return () => {
      isCurrent = false;
    };
  }, [isBusy, isLoading]);
  return null;
}

/** A lazy image far below is not fetched before somebody scrolls there: to wait for it would be to wait for ever. */
function isToCome(image: HTMLImageElement): boolean {
  return image.loading !== 'lazy' || image.complete || image.getBoundingClientRect().top < 2 * window.innerHeight;
}
