import { useIsFetching } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useAsking } from '../../state/ask-session';
import { type OwnCalibration, useOwnCalibration } from '../../state/calibration-files';
import { type Explaining, useExplaining } from '../../state/explain-session';
import { useIntake } from '../../state/image-intake';
import { type Keeping, useKeeping } from '../../state/kept-runs';
import { useSourceStatus } from '../shared/use-run';

const selectIsExplaining = ({ running }: Explaining) => running !== undefined;

const selectIsKeeping = ({ isRestoring, isStoring }: Keeping) => isRestoring || isStoring;

const selectIsReadingTable = ({ file }: OwnCalibration) => file.phase === 'reading';

/**
 * Sets `data-idle` on <html> so that tests can wait for pending work instead of sleeping: `true` if nothing is pending,
 * `loading` if only the model is still loading, else `false`.
 */
export function IdleSignal() {
  const fetching = useIsFetching();
  const { asking } = useAsking();
  const { isReading } = useIntake();
  const isExplaining = useExplaining(selectIsExplaining);
  const isKeeping = useKeeping(selectIsKeeping);
  const isReadingTable = useOwnCalibration(selectIsReadingTable);
  const { phase } = useSourceStatus();
  const isLoading = phase === 'loading' || phase === 'idle';
  const isBusy = fetching > 0 || isReading || isReadingTable || asking.phase !== 'idle' || isExplaining || isKeeping;
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.idle = 'false';
    if (isBusy) return;
    let isCurrent = true;
    const images = Array.from(document.images)
      .filter(willLoad)
      .map((image) => image.decode().catch(() => {}));
    Promise.all([document.fonts.ready, ...images]).then(() => {
      // Wait two frames: one for layout, one for paint.
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

/** False for a lazy image far down the page, which does not load until the user scrolls near it. */
function willLoad(image: HTMLImageElement): boolean {
  return image.loading !== 'lazy' || image.complete || image.getBoundingClientRect().top < 2 * window.innerHeight;
}
