import { useQuery } from '@tanstack/react-query';
import { memo, useMemo } from 'react';
import { ablationReportQuery, headReportQuery } from '../../state/sample-queries';
import { distributionQuery, filterCharts, filterRequest, type OpenCalibration } from '../../state/statistics-queries';
import { meanLogProb, type TrustChoices, type TrustSubset, useTrustChoices } from '../../state/trust-choices';
import type { AnswerValue, Distribution, FilterRequest, Subset, ThresholdReport } from '../../statistics/api';
import { formatCount, formatPercent, unbroken } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import { useRunSnapshots, useSourceStatus } from '../shared/use-run';
import type { ShownRun } from '../shared/use-shown-run';
import { Ablations } from './ablations';
import { CalibrationSource } from './calibration-source';
import { DensityChart } from './density-chart';
import { FiguresCard } from './figures-card';
import { HeadCurve } from './head-curve';
import { LinkedCharts } from './linked-charts';
import { calibrationProvenance } from './provenance';
import { ScoreHistogram } from './score-histogram';
import { ScoreSpreadChart } from './score-spread-chart';
import { TableOne } from './table-one';
import { comparisonSentence, formatNats, kindsSentence, valueName } from './trust-words';
import { type CalibrationState, type EntropyChoice, useCalibration, useEntropyChoice } from './use-calibration';
import { useSettledFilter } from './use-settled';
import { useKinds, useThreshold } from './use-threshold';
import { DrawingChoices, EntropyChoices } from './value-choices';
import './trust.css';

const selectSubset = (choices: TrustChoices) => choices.subset;
const selectBins = (choices: TrustChoices) => choices.bins;
const selectBandwidth = (choices: TrustChoices) => choices.bandwidthFactor;

const entropyHeightPx = 380;
const logProbHeightPx = 250;

/** How well entropy separates right from wrong answers, with the answers behind the figures. */
export function TrustView({ shown }: { readonly shown: ShownRun | undefined }) {
  const { source } = useServices();
  const { phase } = useSourceStatus(); // a companion reports its calibration together with its model
  const isKnown = source.calibrationUrl !== undefined || phase === 'ready' || phase === 'failed';
  const loadState = useCalibration(source.calibrationUrl, { isWanted: true });
  const state: CalibrationState = isKnown ? loadState : { phase: 'loading' };
  const calibration = state.phase === 'open' ? state.calibration : undefined;
  const choice = useEntropyChoice(calibration?.loaded);
  return (
    <main className="trust">
      <div className="trust-top">
        <Headline state={state} choice={choice} />
        <CalibrationSource calibration={calibration} isOwn={state.phase === 'open' && state.isOwn} />
      </div>
      <NoCalibration state={state} />
      {calibration && choice ? (
        <Exploration key={calibration.loaded.table} calibration={calibration} choice={choice} />
      ) : (
        state.phase !== 'failed' && state.phase !== 'none' && <div className="trust-room" />
      )}
      <PaperFigures
        shown={shown}
        ownTable={state.phase === 'open' && state.isOwn ? state.calibration.name : undefined}
      />
    </main>
  );
}

/** Explains why there are no figures and how to get them. */
function NoCalibration({ state }: { readonly state: CalibrationState }) {
  if (state.phase !== 'failed' && state.phase !== 'none') return null;
  return (
    <div className="notice" role="alert">
      <p>
        {state.phase === 'failed'
          ? `The model’s calibration could not be read: ${state.reason}`
          : 'This model has no calibration.'}
      </p>
      <p>
        <code className="mono">patchlight evaluate</code> writes one. Load the{' '}
        <code className="mono">calibration.arrow</code> file, or drop it on this page.
      </p>
    </div>
  );
}

function Headline({ state, choice }: { readonly state: CalibrationState; readonly choice: EntropyChoice | undefined }) {
  const loaded = state.phase === 'open' ? state.calibration.loaded : undefined;
  const entropy = useThreshold(loaded?.table, choice?.value, 'headline entropy');
  const logProb = useThreshold(loaded?.hasLogProbs ? loaded.table : undefined, meanLogProb, 'headline log-prob');
  const kinds = useKinds(loaded, choice?.value, 'headline');
  const comparison = comparisonSentence(entropy, logProb);
  return (
    <div className="trust-lead">
      <h1>How far can you trust an answer?</h1>
      <p className="trust-finding">{entropy && <FindingText report={entropy} />}</p>
      <p>
        {[
          loaded && !loaded.hasLogProbs ? 'The file has no log-probabilities to compare entropy with.' : comparison,
          kindsSentence(kinds, entropy?.auroc),
        ].join(' ')}
      </p>
    </div>
  );
}

function FindingText({ report }: { readonly report: ThresholdReport }) {
  const { figures, why } = report;
  if (figures === undefined) return why;
  const { rightSide, rightBelow, rightAbove, threshold, shareBelow } = figures;
  const [trusted, other] = rightSide === 'below' ? [rightBelow, rightAbove] : [rightAbove, rightBelow];
  const share = rightSide === 'below' ? shareBelow.value : 1 - shareBelow.value;
  return (
    <>
      {unbroken(formatPercent(share))} of {formatCount(shareBelow.n, 'answer', 'answers')} are {rightSide} an entropy of{' '}
      {formatNats(threshold)} nats. <strong>{unbroken(formatPercent(trusted.value))} of those are right</strong>, and{' '}
      {unbroken(formatPercent(other.value))} of the others.
    </>
  );
}

const wholeTable: Subset = {};

function Exploration({
  calibration,
  choice,
}: {
  readonly calibration: OpenCalibration;
  readonly choice: EntropyChoice;
}) {
  const { statistics } = useServices();
  const { loaded } = calibration;
  const bins = useTrustChoices(selectBins);
  const bandwidthFactor = useTrustChoices(selectBandwidth);
  const chosen = useTrustChoices(selectSubset);
  const brushed = useSettledFilter();
  const { value } = choice;
  const subset = useMemo(
    () => subsetOf(chosen, () => filterRequest(filterCharts(loaded, value, bins), brushed)),
    [chosen, loaded, value, bins, brushed],
  );
  const request = { value: choice.value, subset, bandwidthFactor, bins, seed: 0, resamples: 200 };
  const { data: distribution } = useQuery(distributionQuery(statistics, loaded.table, request, 'entropy'));
  const { data: logProbs } = useQuery({
    ...distributionQuery(statistics, loaded.table, { ...request, value: meanLogProb }, 'log-prob'),
    enabled: loaded.hasLogProbs,
  });
  const entropy = useThreshold(loaded.table, choice.value, 'entropy', subset);
  const logProb = useThreshold(loaded.hasLogProbs ? loaded.table : undefined, meanLogProb, 'log-prob', subset);
  const kinds = useKinds(loaded, choice.value, 'figures', subset);
  const provenance = useMemo(
    () => calibrationProvenance(calibration, [valueName(choice.value, loaded.isPooled), subsetName(chosen)]),
    [calibration, choice.value, loaded.isPooled, chosen],
  );
  const logProbProvenance = useMemo(
    () => calibrationProvenance(calibration, [valueName(meanLogProb), subsetName(chosen)]),
    [calibration, chosen],
  );
  return (
    <>
      <section className="trust-hero" aria-label="Entropy of right and wrong answers">
        <div className="trust-hero-chart">
          <div className="trust-controls">
            <EntropyChoices choice={choice} loaded={loaded} />
            <DrawingChoices loaded={loaded} />
          </div>
          <Densities
            title={valueName(choice.value, loaded.isPooled)}
            value={choice.value}
            distribution={distribution}
            threshold={entropy?.figures?.threshold}
            heightPx={entropyHeightPx}
            level={2}
            provenance={provenance}
            fileName="entropy-densities"
          />
        </div>
        <div className="trust-hero-figures">
          {entropy && <FiguresCard entropy={entropy} logProb={logProb} kinds={kinds} entropyName="Entropy" />}
          {loaded.hasLogProbs && (
            <Densities
              title="Mean log-probability"
              value={meanLogProb}
              distribution={logProbs}
              threshold={logProb?.figures?.threshold}
              heightPx={logProbHeightPx}
              level={3}
              provenance={logProbProvenance}
              fileName="log-probability-densities"
            />
          )}
        </div>
      </section>
      <LinkedCharts calibration={calibration} entropy={choice.value} provenance={provenance} />
    </>
  );
}

const Densities = memo(function Densities(props: {
  readonly title: string;
  readonly value: AnswerValue;
  readonly distribution: Distribution | undefined;
  readonly threshold: number | undefined;
  readonly heightPx: number;
  readonly level: 2 | 3;
  readonly provenance: readonly string[];
  readonly fileName: string;
}) {
  const { distribution, heightPx } = props;
  if (distribution === undefined) return <div style={{ minHeight: heightPx + 60 }} />;
  return <DensityChart {...props} distribution={distribution} />;
});

function subsetOf(chosen: TrustSubset, brushed: () => FilterRequest): Subset {
  switch (chosen.of) {
    case 'all':
      return wholeTable;
    case 'set':
      return { sets: [chosen.name] };
    case 'brushed':
      return { filter: brushed() };
  }
}

function subsetName(chosen: TrustSubset): string {
  switch (chosen.of) {
    case 'all':
      return 'all answers';
    case 'set':
      return `answers in ${chosen.name}`;
    case 'brushed':
      return 'filtered answers';
  }
}

/** Name of the embedded model, whose head the shipped report describes. */
const embeddedModel = 'patchlight-scenes';

/**
 * Our versions of the figures in the paper that assess maps rather than answers. `ownTable` is the name of the user's
 * table, which these figures do not describe.
 */
function PaperFigures({
  shown,
  ownTable,
}: {
  readonly shown: ShownRun | undefined;
  readonly ownTable: string | undefined;
}) {
  const services = useServices();
  const { data: report } = useQuery(headReportQuery(services));
  const { data: ablations } = useQuery(ablationReportQuery(services));
  const runs = useRunSnapshots();
  const maps = useMemo(
    () =>
      runs.flatMap(({ tokens, mapOf }) =>
        tokens.flatMap(({ index }) => {
          const map = mapOf(index);
          return map ? [map.values] : [];
        }),
      ),
    [runs],
  );
  const own = shown?.run.header.head?.classificationThreshold;
  // The report describes the embedded model's head; a companion's head has its own threshold.
  const reportThreshold = shown?.run.header.model.name === embeddedModel ? own : undefined;
  return (
    <section className="trust-paper" aria-labelledby="paper-title">
      <h2 id="paper-title">The maps, evaluated as in the paper</h2>
      {ownTable !== undefined && (
        <p className="linked-key">
          These figures describe the maps of {embeddedModel} and of the answers in this tab. They do not come from{' '}
          {ownTable}.
        </p>
      )}
      <div className="trust-pair">
        {report ? (
          <HeadCurve report={report} model={embeddedModel} own={reportThreshold} />
        ) : (
          <div className="trust-curve-room" />
        )}
        <ScoreHistogram maps={maps} threshold={own} />
        {report?.spread && <ScoreSpreadChart report={report} spread={report.spread} />}
      </div>
      {report && <TableOne report={report} model={embeddedModel} />}
      {ablations && <Ablations report={ablations} model={embeddedModel} />}
    </section>
  );
}
