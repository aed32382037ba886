import { type Draft, useDraft } from '../../state/draft';
import { Answer } from '../answer/answer';
import { AskForm } from '../ask/ask-form';
import { EmptyAnswer, UnaskedImage } from '../ask/unasked-image';
import { useServices } from '../shared/services-context';
import { useMediaQuery } from '../shared/use-media-query';
import { useOpeningExample, useOpensWithImage } from '../shared/use-opening-example';
import type { ShownRun } from '../shared/use-shown-run';
import { DraftFigure } from '../stage/draft-figure';
import { FrameChoice } from '../stage/frame-choice';
import { HeadWarning } from '../stage/head-warning';
import { ImageChoice } from '../stage/image-choice';
import { Legend } from '../stage/legend';
import { MapControls } from '../stage/map-controls';
import { MapExport } from '../stage/map-export';
import { MapReadout } from '../stage/map-readout';
import { MapStage } from '../stage/map-stage';
import { StillStage, stageImage } from '../stage/still-stage';
import { StartLead } from './start-lead';
import { useRequestedMap } from './use-requested-map';

const selectDraftImage = (draft: Draft) => draft.image;

/** One method's map over the image, next to the answer. */
export function ExplainView({ shown }: { readonly shown: ShownRun | undefined }) {
  const isWide = useMediaQuery('(min-width: 1000px)');
  const draftImage = useDraft(selectDraftImage);
  const isStart = useOpensWithImage() && shown === undefined;
  const mapPanel = shown && <MapPanel shown={draftImage ? { ...shown, map: undefined } : shown} isWide={isWide} />;
  const answer = isStart ? undefined : draftImage ? (
    <UnaskedImage image={draftImage} hasRun={shown !== undefined} />
  ) : shown ? (
    <Answer shown={shown} />
  ) : (
    <EmptyAnswer />
  );
  // DOM order matches screen order in both layouts: on a phone, the answer comes directly below the image.
  return (
    <main className={isStart ? 'explain explain-start' : 'explain'}>
      {isStart ? <StartLead /> : <Lead />}
      <div className="explain-left">
        {shown && !draftImage && <RequestedMap shown={shown} />}
        <StageColumn shown={shown} />
        {isWide && mapPanel}
      </div>
      <div className="explain-right">
        {answer}
        {!isWide && mapPanel}
        <AskForm record={shown?.record} isStart={isStart} />
      </div>
    </main>
  );
}

/** Renders nothing. */
function RequestedMap({ shown }: { readonly shown: ShownRun }) {
  useRequestedMap(shown);
  return null;
}

function Lead() {
  return (
    <div className="view-lead">
      <h1>See which image patches each word of a vision-language model’s answer rested on.</h1>
      <p>Select a word to see its map on the image. Then ask about your own image.</p>
    </div>
  );
}

function StageColumn({ shown }: { readonly shown: ShownRun | undefined }) {
  const draftImage = useDraft(selectDraftImage);
  const example = useOpeningExample();
  const opensWithImage = useOpensWithImage();
  const { samplesUrl } = useServices();
  if (draftImage !== undefined || (shown === undefined && opensWithImage)) return <DraftFigure image={draftImage} />;
  if (shown === undefined) {
    return (
      <figure className="explain-figure">
        <StillStage image={example.entry && { url: `${samplesUrl}${example.entry.image}`, alt: '' }} />
        <figcaption className="readout" />
      </figure>
    );
  }
  return (
    <figure className="explain-figure">
      <MapStage image={stageImage(shown)} placement={shown.frame.placement} map={shown.map} settings={shown.settings} />
      <ImageChoice shown={shown} />
      {shown.map?.method === 'fastrm' && <HeadWarning header={shown.run.header} />}
      <MapReadout shown={shown} />
    </figure>
  );
}

function MapPanel({ shown, isWide }: { readonly shown: ShownRun; readonly isWide: boolean }) {
  return (
    <section className="explain-controls" aria-label="Reading the map">
      <FrameChoice shown={shown} />
      <Legend shown={shown} />
      <Collapsible isOpen={isWide} summary="How the map is drawn">
        <MapControls settings={shown.settings} setSettings={shown.setSettings} />
        <MapExport shown={shown} />
      </Collapsible>
    </section>
  );
}

function Collapsible(props: {
  readonly isOpen: boolean;
  readonly summary: string;
  readonly children: React.ReactNode;
}) {
  if (props.isOpen) return props.children;
  return (
    <details className="collapsible">
      <summary>{props.summary}</summary>
      {props.children}
    </details>
  );
}
