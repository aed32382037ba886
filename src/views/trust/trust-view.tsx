import { useQuery } from '@tanstack/react-query';
import { memo, useMemo } from 'react';
import { headReportQuery } from '../../state/sample-queries';
import {
  distributionQuery,
  filterCharts,
  filterRequest,
  type OpenCalibration,
  thresholdQuery,
} from '../../state/statistics-queries';
import { meanLogProb, type TrustChoices, type TrustSubset, useTrustChoices } from '../../state/trust-choices';
import type { AnswerValue, Distribution, FilterRequest, Subset, ThresholdReport } from '../../statistics/api';
import { formatPercent, formatWhole, unbroken } from '../../text/number-format';
import { comparisonSentence, formatNats, valueName } from '../../text/trust-words';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { useRuns, useSourceStatus } from '../shared/use-run';
import { CalibrationSource } from './calibration-source';
import { DensityChart } from './density-chart';
import { FiguresCard } from './figures-card';
import { HeadCurve } from './head-curve';
import { LinkedCharts } from './linked-charts';
import { calibrationProvenance } from './provenance';
import { ScoreHistogram } from './score-histogram';
import { TableOne } from './table-one';
import { type CalibrationState, type EntropyChoice, useCalibration, useEntropyChoice } from './use-calibration';
import { useSettledFilter } from './use-settled';
import { DrawingChoices, EntropyChoices } from './value-choices';
import './trust.css';

const selectSubset = (choices: TrustChoices) => choices.subset;
const selectBins = (choices: TrustChoices) => choices.bins;
const selectBandwidth = (choices: TrustChoices) => choices.bandwidthFactor;

const entropyHeightPx = 380;
const logProbHeightPx = 250;

/** The answers behind the numbers: what entropy says of being right, how far, and of which answers. */
export function TrustView({ bench }: { readonly bench: Bench | undefined }) {
  const { source } = useServices();
  const { phase } = useSourceStatus(); // a companion says with its model whether there is a calibration
  const isKnown = source.calibrationUrl !== undefined || phase === 'ready' || phase === 'failed';
  const found = useCalibration(source.calibrationUrl, { isWanted: true });
  const state: CalibrationState = isKnown ? found : { phase: 'loading' };
  const calibration = state.phase === 'open' ? state.calibration : undefined;
  const choice = useEntropyChoice(calibration?.loaded);
  return (
    <main className="trust">
      <div className="trust-top">
        <Headline state={state} choice={choice} />
        <CalibrationSource calibration={calibration} isOwn={state.phase === 'open' && state.isOwn} />
      </div>
      <Absence state={state} />
      {calibration && choice ? (
        <Explored key={calibration.loaded.table} calibration={calibration} choice={choice} />
      ) : (
        state.phase !== 'failed' && state.phase !== 'none' && <div className="trust-room" />
      )}
      <PaperFigures bench={bench} />
    </main>
  );
}

/** Why there are no figures, and how to have some. */
function Absence({ state }: { readonly state: CalibrationState }) {
  if (state.phase !== 'failed' && state.phase !== 'none') return null;
  return (
    <div className="notice" role="alert">
      <p>
        {state.phase === 'failed'
          ? `The model’s calibration could not be read: ${state.reason}`
          : 'This model comes with no calibration.'}
      </p>
      <p>
        <code className="mono">patchlight evaluate</code> makes one: load the{' '}
        <code className="mono">calibration.arrow</code> that it writes, or drop it on this page.
      </p>
    </div>
  );
}

function Headline({ state, choice }: { readonly state: CalibrationState; readonly choice: EntropyChoice | undefined }) {
  const loaded = state.phase === 'open' ? state.calibration.loaded : undefined;
  const entropy = useThreshold(loaded?.table, choice?.value, wholeTable, 'headline entropy');
  const logProb = useThreshold(
    loaded?.hasLogProbs ? loaded.table : undefined,
    meanLogProb,
    wholeTable,
    'headline log-prob',
  );
  const comparison = comparisonSentence(entropy, logProb);
  return (
    <div className="trust-lead">
      <h1>How far can an answer be trusted?</h1>
      <p className="trust-finding">{entropy && <Finding report={entropy} />}</p>
      <p>{comparison}</p>
    </div>
  );
}

function Finding({ report }: { readonly report: ThresholdReport }) {
  const { figures, why } = report;
  if (figures === undefined) return why;
  const { rightSide, rightBelow, rightAbove, threshold, shareBelow } = figures;
  const [trusted, other] = rightSide === 'below' ? [rightBelow, rightAbove] : [rightAbove, rightBelow];
  const share = rightSide === 'below' ? shareBelow.value : 1 - shareBelow.value;
  return (
    <>
      {unbroken(formatPercent(share))} of {formatWhole(shareBelow.n)} answers lie {rightSide} an entropy of{' '}
      {formatNats(threshold)} nats. <strong>{unbroken(formatPercent(trusted.value))} of those are right</strong>, and{' '}
      {unbroken(formatPercent(other.value))} of the others.
    </>
  );
}

const wholeTable: Subset = {};

function useThreshold(
  table: number | undefined,
  value: AnswerValue | undefined,
  subset: Subset,
  slot: string,
): ThresholdReport | undefined {
  const { statistics } = useServices();
  const request = { value: value ?? meanLogProb, subset, seed: 0 };
  return useQuery({
    ...thresholdQuery(statistics, table ?? -1, request, slot),
    enabled: table !== undefined && value !== undefined,
  }).data;
}

function Explored({ calibration, choice }: { readonly calibration: OpenCalibration; readonly choice: EntropyChoice }) {
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
  const entropy = useThreshold(loaded.table, choice.value, subset, 'entropy');
  const logProb = useThreshold(loaded.hasLogProbs ? loaded.table : undefined, meanLogProb, subset, 'log-prob');
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
          {entropy && <FiguresCard entropy={entropy} logProb={logProb} entropyName="Entropy" />}
          {loaded.hasLogProbs && (
            <Densities
              title="Mean log-probability, beside it"
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
      return `answers of ${chosen.name}`;
    case 'brushed':
      return 'answers that the brushes leave';
  }
}

/** Whose head the report beside the embedded model is of. */
const embeddedModel = 'patchlight-scenes';

/** Counterparts of the paper's figures that are of maps, not of answers. */
function PaperFigures({ bench }: { readonly bench: Bench | undefined }) {
  const services = useServices();
  const { data: report } = useQuery(headReportQuery(services));
  const runs = useRuns();
  // biome-ignore lint/correctness/useExhaustiveDependencies: maps come to the records, which stay the same
  const maps = useMemo(
    () =>
      runs.flatMap((record) =>
        record.snapshot().tokens.flatMap(({ index }) => {
          const map = record.mapOf(index);
          return map ? [map.values] : [];
        }),
      ),
    [runs, bench?.run],
  );
  const own = bench?.run.header.head?.classificationThreshold;
  // The report is of one head; a companion's answer is drawn with another's threshold.
  const ofReport = bench?.run.header.model.name === embeddedModel ? own : undefined;
  return (
    <section className="trust-paper" aria-labelledby="paper-title">
      <h2 id="paper-title">The maps themselves, as in the paper</h2>
      <div className="trust-pair">
        {report ? (
          <HeadCurve report={report} model={embeddedModel} own={ofReport} />
        ) : (
          <div className="trust-curve-room" />
        )}
        <ScoreHistogram maps={maps} threshold={own} />
      </div>
      {report && <TableOne report={report} model={embeddedModel} />}
    </section>
  );
}
