import { useEffect } from 'react';
import { patchIndex } from '../../math/maps/patch-geometry';
import { wholeView } from '../../math/maps/zoom';
import { type Choices, useChoices } from '../../state/choices';
import { type Draft, useDraft } from '../../state/draft';
import { readValues, thresholdOf } from '../../state/panel-map';
import { setZoom } from '../../state/shared-zoom';
import { AnswerHint, AskedQuestion, answerKind, UnitChoice } from '../answer/answer';
import { AnswerTokens } from '../answer/answer-tokens';
import { NoMapsNotice } from '../answer/no-maps-notice';
import { Provenance } from '../answer/provenance';
import { useTokenMarks } from '../answer/token-mark';
import { AskForm } from '../ask/ask-form';
import { EmptyAnswer, UnaskedImage } from '../ask/unasked-image';
import type { Bench } from '../shared/use-bench';
import { useMediaQuery } from '../shared/use-media-query';
import { FrameChoice } from '../stage/frame-choice';
import { MapControls } from '../stage/map-controls';
import { StillStage, stageImage } from '../stage/still-stage';
import { CompareBar } from './compare-bar';
import { CompareLegend } from './compare-legend';
import { CostPart } from './cost-part';
import { MarksNote } from './marks-note';
import { PanelRow } from './panel-row';
import { PromptWords } from './prompt-words';
import { TokenStrip } from './token-strip';
import { type CompareBench, useCompare, useWants } from './use-compare';
import './compare-view.css';

const selectDraftImage = (draft: Draft) => draft.image;

/** Several methods' maps of the same tokens, side by side. */
export function CompareView({ bench }: { readonly bench: Bench | undefined }) {
  const draftImage = useDraft(selectDraftImage);
  const isWide = useMediaQuery('(min-width: 1000px)');
  // Made once at either width; on a phone the maps come first.
  const ask = <AskForm record={bench?.record} />;
  return (
    <main className="compare">
      <div className="compare-top">
        <div className="compare-answer">
          <div className="bench-lead compare-lead">
            <h1>Is that so? One word, several methods, side by side.</h1>
          </div>
          {draftImage ? (
            <UnaskedImage name={draftImage.name} hasRun={bench !== undefined} />
          ) : bench ? (
            <ComparedAnswer bench={bench} />
          ) : (
            <EmptyAnswer />
          )}
        </div>
        {isWide && ask}
      </div>
      {draftImage ? (
        <div className="panels">
          <StillStage image={draftImage} />
        </div>
      ) : (
        bench && <Comparison key={bench.record.id} bench={bench} />
      )}
      {!isWide && ask}
    </main>
  );
}

const selectUnit = (choices: Choices) => choices.unit;
const selectWeighed = (choices: Choices) => choices.weighedRun;
const selectPicked = (choices: Choices) => choices.pickedPatch;

function ComparedAnswer({ bench }: { readonly bench: Bench }) {
  const compared = useCompare(bench);
  const { record, run, selected, panels, thresholds, frame } = compared;
  const unit = useChoices(selectUnit);
  const picked = useChoices(selectPicked);
  const marked = useTokenMarks(compared, panels);
  const [first] = panels;
  const markPatch = picked && frame.placement.first + patchIndex(frame.placement.grid, picked);
  const isOnPatch = (index: number) => {
    const map = first && record.mapOf(index, first);
    if (map === undefined || first === undefined || markPatch === undefined) return false;
    return (readValues(map)[markPatch] ?? 0) >= thresholdOf(first, thresholds);
  };
  return (
    <section className="answer" aria-label="Answer">
      <p className="eyebrow">{answerKind(run)}</p>
      <AskedQuestion key={record.id} text={run.header.question} isRecorded={run.header.recorded} />
      <AnswerTokens
        tokens={run.tokens}
        selected={selected}
        unit={unit}
        hasMap={(index) => panels.some((method) => record.mapOf(index, method) !== undefined)}
        isOnPatch={isOnPatch}
        marks={marked.marks}
        isStreaming={run.end === undefined}
      />
      <MarksNote bench={compared} marked={marked} />
      <div className="answer-tools">
        <UnitChoice />
        <AnswerHint bench={bench} />
      </div>
      {run.header.noMaps && <NoMapsNotice noMaps={run.header.noMaps} />}
    </section>
  );
}

/** Everything below the answer. Made anew for each run. */
function Comparison({ bench }: { readonly bench: Bench }) {
  const compared = useCompare(bench);
  useWants(compared, useChoices(selectWeighed) === bench.record.id);
  useEffect(() => () => setZoom(wholeView), []);
  const image = stageImage(bench);
  return (
    <>
      <CompareBar bench={compared} />
      <PanelRow bench={compared} image={image} />
      <Looks bench={compared} />
      <TokenStrip bench={compared} image={image} />
      <PromptWords bench={compared} />
      <CostPart bench={compared} />
      <Provenance bench={{ ...bench, map: undefined }} />
    </>
  );
}

/** How all panels are drawn. */
function Looks({ bench }: { readonly bench: CompareBench }) {
  return (
    <section className="looks" aria-label="How the panels are drawn">
      <CompareLegend bench={bench} />
      <div>
        <FrameChoice bench={bench} />
        <MapControls settings={bench.settings} setSettings={bench.setSettings} hasScale={false} />
      </div>
    </section>
  );
}
