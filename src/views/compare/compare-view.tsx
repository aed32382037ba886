import { useEffect } from 'react';
import { patchIndex } from '../../math/maps/patch-geometry';
import { wholeView } from '../../math/maps/zoom';
import { type Choices, useChoices } from '../../state/choices';
import { type Draft, useDraft } from '../../state/draft';
import { readValues, thresholdOf } from '../../state/panel-map';
import { setZoom } from '../../state/shared-zoom';
import { AnswerHint, answerKind, QuestionHeading, UnitChoice } from '../answer/answer';
import { AnswerTokens } from '../answer/answer-tokens';
import { HeadNotice } from '../answer/head-notice';
import { Provenance } from '../answer/provenance';
import { useTokenMarks } from '../answer/token-mark';
import { AskForm } from '../ask/ask-form';
import { EmptyAnswer, UnaskedImage } from '../ask/unasked-image';
import { useMediaQuery } from '../shared/use-media-query';
import type { ShownRun } from '../shared/use-shown-run';
import { FrameChoice } from '../stage/frame-choice';
import { ImageChoice } from '../stage/image-choice';
import { MapControls } from '../stage/map-controls';
import { StillStage, stageImage } from '../stage/still-stage';
import { CompareBar } from './compare-bar';
import { CompareLegend } from './compare-legend';
import { CostPart } from './cost-part';
import { MarksNote } from './marks-note';
import { PanelRow } from './panel-row';
import { PromptWords } from './prompt-words';
import { TokenStrip } from './token-strip';
import { type ShownComparison, useRequestedMaps, useShownComparison } from './use-shown-comparison';
import './compare-view.css';

const selectDraftImage = (draft: Draft) => draft.image;

/** Maps of the same tokens by several methods, side by side. */
export function CompareView({ shown }: { readonly shown: ShownRun | undefined }) {
  const draftImage = useDraft(selectDraftImage);
  const isWide = useMediaQuery('(min-width: 1000px)');
  // Rendered once for both layouts; on a phone it follows the maps.
  const ask = <AskForm record={shown?.record} />;
  return (
    <main className="compare">
      <div className="compare-top">
        <div className="compare-answer">
          <div className="view-lead compare-lead">
            <h1>Do other methods agree? One word, several maps, side by side.</h1>
          </div>
          {draftImage ? (
            <UnaskedImage image={draftImage} hasRun={shown !== undefined} />
          ) : shown ? (
            <ComparedAnswer shown={shown} />
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
        shown && <Comparison key={shown.record.id} shown={shown} />
      )}
      {!isWide && ask}
    </main>
  );
}

const selectUnit = (choices: Choices) => choices.unit;
const selectWeighed = (choices: Choices) => choices.weighedRun;
const selectPicked = (choices: Choices) => choices.pickedPatch;

function ComparedAnswer({ shown }: { readonly shown: ShownRun }) {
  const compared = useShownComparison(shown);
  const { record, run, selected, panels, thresholds, frame } = compared;
  const unit = useChoices(selectUnit);
  const picked = useChoices(selectPicked);
  const marked = useTokenMarks(compared, panels);
  const [first] = panels;
  const markPatch = picked && frame.placement.first + patchIndex(frame.placement.grid, picked);
  const isOnPatch = (index: number) => {
    const map = first && run.mapOf(index, first);
    if (map === undefined || first === undefined || markPatch === undefined) return false;
    return (readValues(map)[markPatch] ?? 0) >= thresholdOf(first, thresholds);
  };
  return (
    <section className="answer" aria-label="Answer">
      <p className="eyebrow">{answerKind(run)}</p>
      <QuestionHeading key={record.id} header={run.header} />
      <AnswerTokens
        tokens={run.tokens}
        selected={selected}
        unit={unit}
        hasMap={(index) => panels.some((method) => run.mapOf(index, method) !== undefined)}
        isOnPatch={isOnPatch}
        marks={marked.marks}
        isStreaming={run.end === undefined}
      />
      <MarksNote shown={compared} marked={marked} />
      <div className="answer-tools">
        <UnitChoice />
        <AnswerHint shown={shown} />
      </div>
      {run.header.noHead?.kind === 'unusable' && <HeadNotice shown={shown} />}
    </section>
  );
}

/** Everything below the answer; remounted for each run. */
function Comparison({ shown }: { readonly shown: ShownRun }) {
  const compared = useShownComparison(shown);
  useRequestedMaps(compared, useChoices(selectWeighed) === shown.record.id);
  useEffect(() => () => setZoom(wholeView), []);
  const image = stageImage(compared);
  return (
    <>
      <CompareBar shown={compared} />
      <PanelRow shown={compared} image={image} />
      <Looks shown={compared} />
      <TokenStrip shown={compared} image={image} />
      <PromptWords shown={compared} />
      <CostPart />
      <Provenance shown={{ ...shown, map: undefined }} />
    </>
  );
}

/** Display settings for all panels. */
function Looks({ shown }: { readonly shown: ShownComparison }) {
  return (
    <section className="looks" aria-label="How the panels are drawn">
      <CompareLegend shown={shown} />
      <div>
        <ImageChoice shown={shown} />
        <FrameChoice shown={shown} />
        <MapControls settings={shown.settings} setSettings={shown.setSettings} hasScale={false} />
      </div>
    </section>
  );
}
