import { type Draft, useDraft } from '../../state/draft';
import { Answer } from '../answer/answer';
import { AskForm } from '../ask/ask-form';
import { EmptyAnswer, UnaskedImage } from '../ask/unasked-image';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { useMediaQuery } from '../shared/use-media-query';
import { useOpeningExample } from '../shared/use-opening-example';
import { FrameChoice } from '../stage/frame-choice';
import { Legend } from '../stage/legend';
import { MapControls } from '../stage/map-controls';
import { MapExport } from '../stage/map-export';
import { MapReadout } from '../stage/map-readout';
import { Stage } from '../stage/stage';
import { StillStage, stageImage } from '../stage/still-stage';

const selectDraftImage = (draft: Draft) => draft.image;

/** One method's map over the image, beside the answer. */
export function ExplainView({ bench }: { readonly bench: Bench | undefined }) {
  const isWide = useMediaQuery('(min-width: 1000px)');
  const draftImage = useDraft(selectDraftImage);
  const reading = bench && <Reading bench={draftImage ? { ...bench, map: undefined } : bench} isWide={isWide} />;
  const answer = draftImage ? (
    <UnaskedImage name={draftImage.name} hasRun={bench !== undefined} />
  ) : bench ? (
    <Answer bench={bench} />
  ) : (
    <EmptyAnswer />
  );
  // The order of reading is the order on screen at either width: on a phone the answer comes right under the image.
  return (
    <main className="bench">
      <Lead />
      <div className="bench-left">
        <StageColumn bench={bench} />
        {isWide && reading}
      </div>
      <div className="bench-right">
        {answer}
        {!isWide && reading}
        <AskForm record={bench?.record} />
      </div>
    </main>
  );
}

function Lead() {
  return (
    <div className="bench-lead">
      <h1>See which image patches each word of a vision-language model’s answer rested on.</h1>
      <p>Pick a word, and its map lights up on the image. Then ask about an image of your own.</p>
    </div>
  );
}

function StageColumn({ bench }: { readonly bench: Bench | undefined }) {
  const draftImage = useDraft(selectDraftImage);
  const example = useOpeningExample();
  const { samplesUrl } = useServices();
  if (draftImage !== undefined) {
    return (
      <figure className="bench-stage">
        <StillStage image={draftImage} />
        <figcaption className="readout">
          <p className="readout-title">{draftImage.name}</p>
          <p className="readout-numbers mono">
            {draftImage.widthPx} × {draftImage.heightPx} px
          </p>
          <p className="readout-note">No map yet.</p>
        </figcaption>
      </figure>
    );
  }
  if (bench === undefined) {
    return (
      <figure className="bench-stage">
        <StillStage image={example.entry && { url: `${samplesUrl}${example.entry.image}`, alt: '' }} />
        <figcaption className="readout" />
      </figure>
    );
  }
  return (
    <figure className="bench-stage">
      <Stage
        image={stageImage(bench)}
        placement={bench.frame.placement}
        map={bench.map}
        threshold={bench.threshold}
        settings={bench.settings}
      />
      <MapReadout bench={bench} />
    </figure>
  );
}

function Reading({ bench, isWide }: { readonly bench: Bench; readonly isWide: boolean }) {
  if (bench.run.header.head === undefined) return null; // there are no maps to read
  return (
    <section className="bench-reading" aria-label="Reading the map">
      <FrameChoice bench={bench} />
      <Legend bench={bench} />
      <Collapsible isOpen={isWide} summary="How the map is drawn">
        <MapControls settings={bench.settings} setSettings={bench.setSettings} />
        <MapExport bench={bench} />
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
