import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { contentTokens } from '../../math/statistics/content-tokens';
import { usePageView, viewHref } from '../../state/page-view';
import { distributionQuery, type OpenCalibration, thresholdQuery } from '../../state/statistics-queries';
import { type EntropyValue, meanLogProb } from '../../state/trust-choices';
import type { AnswerValue, MapEntropies } from '../../statistics/api';
import { formatWhole, unbroken } from '../../text/number-format';
import { comparisonSentence, formatNats, likeSentence, nearestOf, valueName } from '../../text/trust-words';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { DensityChart, densityNote } from './density-chart';
import { calibrationProvenance } from './provenance';
import type { AnswerTrust } from './use-answer-trust';
import { EntropyChoices } from './value-choices';
import './trust-evidence.css';

/** This answer among those of the calibration: by its maps' entropy, and by the model's own certainty. */
export function TrustEvidence({ bench, trust }: { readonly bench: Bench; readonly trust: AnswerTrust }) {
  const { calibration, choice, entropies, entropyNats, logProbNats, like, comparable } = trust;
  const entropyReport = useThresholdOf(calibration, choice?.value);
  const logProbReport = useThresholdOf(calibration?.loaded.hasLogProbs ? calibration : undefined, meanLogProb);
  if (calibration === undefined || choice === undefined || entropyNats === undefined) return null;
  const { loaded, name } = calibration;
  return (
    <div className="evidence">
      {comparable.kind === 'no' && (
        <p className="evidence-warning">
          Drawn all the same: this answer among those of {name}, whatever that is worth.
        </p>
      )}
      <div className="evidence-charts">
        <AnswerDensity
          calibration={calibration}
          value={choice.value}
          answer={entropyNats}
          threshold={entropyReport?.figures?.threshold}
          title="Entropy of its maps"
          slot="panel entropy"
        />
        {loaded.hasLogProbs && (
          <AnswerDensity
            calibration={calibration}
            value={meanLogProb}
            answer={logProbNats}
            threshold={logProbReport?.figures?.threshold}
            title="Mean log-probability"
            slot="panel log-prob"
          />
        )}
      </div>
      {like?.logProb && (
        <p>By the model’s own certainty: {unbroken(lowerFirst(likeSentence(like.logProb, 'mean log-probability')))}</p>
      )}
      <p>{comparisonSentence(entropyReport, logProbReport)}</p>
      {entropies && <TokenEntropies bench={bench} entropies={entropies} value={choice.value} />}
      <EntropyChoices choice={choice} loaded={loaded} />
      <p className="evidence-note">
        Answers like this one are the {formatWhole(Math.min(nearestOf(loaded.rows), loaded.right + loaded.wrong))} of{' '}
        {name} whose value is nearest; in brackets stands the 95 % interval of their share. A share of answers is no
        certainty about this one. <DataSetLink />
      </p>
    </div>
  );
}

function DataSetLink() {
  const [, setView] = usePageView();
  return (
    <a
      className="link-button"
      href={viewHref(location.search, 'trust')}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        setView('trust');
        window.scrollTo({ top: 0 });
      }}
    >
      See all of those answers
    </a>
  );
}

function useThresholdOf(calibration: OpenCalibration | undefined, value: AnswerValue | undefined) {
  const { statistics } = useServices();
  const request = { value: value ?? meanLogProb, subset: {}, seed: 0 };
  return useQuery({
    ...thresholdQuery(statistics, calibration?.loaded.table ?? -1, request, `panel ${value?.of}`),
    enabled: calibration !== undefined && value !== undefined,
  }).data;
}

const chartHeightPx = 230;

function AnswerDensity(props: {
  readonly calibration: OpenCalibration;
  readonly value: AnswerValue;
  readonly answer: number;
  readonly threshold: number | undefined;
  readonly title: string;
  readonly slot: string;
}) {
  const { calibration, value, answer, threshold, title, slot } = props;
  const { statistics } = useServices();
  const { loaded } = calibration;
  const request = { value, bins: 40, seed: 0, resamples: 200 };
  const { data } = useQuery(distributionQuery(statistics, loaded.table, request, slot));
  const name = valueName(value, loaded.isPooled);
  const provenance = useMemo(
    () => calibrationProvenance(calibration, [name, `this answer: ${answer} nats`]),
    [calibration, name, answer],
  );
  if (data === undefined) return <div style={{ minHeight: chartHeightPx + 56 }} />;
  return (
    <DensityChart
      title={title}
      note={densityNote(data) ?? `${name}. Bands: 95 %, bootstrap.`}
      value={value}
      distribution={data}
      threshold={threshold}
      answer={answer}
      heightPx={chartHeightPx}
      provenance={provenance}
      fileName={`${value.of === 'logProb' ? 'log-probability' : 'entropy'}-of-this-answer`}
    />
  );
}

/** The tokens that the answer's entropy is made of; those that do not count stand back. */
function TokenEntropies(props: {
  readonly bench: Bench;
  readonly entropies: MapEntropies;
  readonly value: EntropyValue;
}) {
  const { bench, entropies, value } = props;
  const { tokens } = bench.run;
  if (value.kind === 'given') return null;
  const nats = entropies[value.kind];
  const isContent = contentTokens(tokens);
  const usesContent = value.pooling.includes('content') && isContent.includes(true);
  return (
    <div>
      <h3 className="chart-title">Entropy of each token’s map, nats</h3>
      <ul className="token-entropies">
        {tokens.map(({ index, text }) => (
          <li key={index} data-left-out={(usesContent && !isContent[index]) || undefined}>
            {text.trim() || '␣'} <span className="mono">{formatNats(nats[index] ?? Number.NaN)}</span>
          </li>
        ))}
      </ul>
      <p className="evidence-note">
        The same numbers stand under the words of the answer while this is open.
        {usesContent && ' Faded: words without content of their own, which do not count here.'}
      </p>
    </div>
  );
}

const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1);
