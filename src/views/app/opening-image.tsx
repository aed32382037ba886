import { useEffect, useState } from 'react';
import { type Choices, useChoices } from '../../state/choices';
import { type Draft, useDraft } from '../../state/draft';
import { type Intake, useIntake } from '../../state/image-intake';
import { type Keeping, useKeeping } from '../../state/kept-runs';
import { useServices } from '../shared/services-context';
import { useOpensWithImage } from '../shared/use-opening-example';
import { useSourceStatus } from '../shared/use-run';
import { useSampleImages } from '../shared/use-sample-images';

const selectHasRun = ({ runId }: Choices) => runId !== undefined;
const selectHasImage = ({ image }: Draft) => image !== undefined;
const selectIsReading = ({ isReading }: Intake) => isReading;
const selectIsRestoring = ({ isRestoring }: Keeping) => isRestoring;

/** Chooses the first sample image once, if the page opens with an image and the user has not chosen anything else. */
export function OpeningImage() {
  const { intake } = useServices();
  const { folderUrl, images, error } = useSampleImages();
  const isRestoring = useKeeping(selectIsRestoring);
  const isReading = useIntake(selectIsReading);
  const isFilled = [useChoices(selectHasRun), useDraft(selectHasImage)].includes(true);
  const { phase } = useSourceStatus();
  const [isTaken, setIsTaken] = useState(false);
  const isDue = useOpensWithImage() && !isFilled && !isTaken;
  const [first] = images;
  useEffect(() => {
    if (!isDue || isRestoring || isReading || first === undefined) return;
    setIsTaken(true);
    intake.takeUrl(`${folderUrl}${first.file}`, first.file, first.alt);
  }, [isDue, isRestoring, isReading, folderUrl, first, intake]);
  // A question that is asked in the meantime waits for the image, or for the source to be loaded again.
  const isOpening = isDue && error === null && (isRestoring || phase !== 'failed');
  const opensWithImage = useOpensWithImage();
  useEffect(() => {
    if (opensWithImage) useIntake.setState({ isOpening });
  }, [opensWithImage, isOpening]);
  return null;
}
