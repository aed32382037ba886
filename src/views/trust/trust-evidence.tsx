import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { contentTokens } from '../../math/statistics/content-tokens';
import { usePageView, viewHref } from '../../state/page-view';
import { distributionQuery, type OpenCalibration } from '../../state/statistics-queries';
import { type EntropyValue, meanLogProb } from '../../state/trust-choices';
import type { AnswerValue, MapEntropies } from '../../statistics/api';
import { formatCount, unbroken } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import type { ShownRun } from '../shared/use-shown-run';
import { DensityChart, densityNote } from './density-chart';
import { calibrationProvenance } from './provenance';
import {
  commonKindsSentence,
  comparisonSentence,
  formatNats,
  kindsSentence,
  likeSentence,
  nearestOf,
  valueName,
} from './trust-words';
import type { AnswerTrust } from './use-answer-trust';
import { useKinds, useThreshold } from './use-threshold';
import { EntropyChoices } from './value-choices';
import './trust-evidence.css';

/** This answer compared with the calibration's answers, by entropy and by log-probability. */
export function TrustEvidence({ shown, trust }: { readonly shown: ShownRun; readonly trust: AnswerTrust }) {
  const { calibration, choice, entropies, entropyNats, logProbNats, like, comparable } = trust;
  const entropyReport = useThreshold(calibration?.loaded.table, choice?.value, 'panel entropy');
  const logProbReport = useThreshold(
    calibration?.loaded.hasLogProbs ? calibration.loaded.table : undefined,
    meanLogProb,
    'panel logProb',
  );
  const kinds = useKinds(calibration?.loaded, choice?.value, 'panel');
  if (calibration === undefined || choice === undefined || entropyNats === undefined) return null;
  const { loaded, name } = calibration;
  return (
    <div className="evidence">
      {comparable.kind === 'no' && (
        <p className="evidence-warning">
          This calibration does not apply to this answer. For reference only, the charts show this answer among those in{' '}
          {name}.
        </p>
      )}
      <div className="evidence-charts">
        <AnswerDensity
          calibration={calibration}
          value={choice.value}
          answer={entropyNats}
          threshold={entropyReport?.figures?.threshold}
          title="Entropy of the maps"
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
        <p>
          Judged by the model’s certainty instead:{' '}
          {unbroken(lowerFirst(likeSentence(like.logProb, 'mean log-probability')))}
        </p>
      )}
      <p>
        {unbroken(
          [comparisonSentence(entropyReport, logProbReport), kindsSentence(kinds, entropyReport?.auroc)].join(' '),
        )}
      </p>
      {like && loaded.kindsBy !== 'none' && <p>{unbroken(commonKindsSentence(like.entropy, loaded.kindsBy))}</p>}
      {entropies && <TokenEntropies shown={shown} entropies={entropies} value={choice.value} />}
      <EntropyChoices choice={choice} loaded={loaded} />
      <p className="evidence-note">
        “Answers like this one” are the{' '}
        {formatCount(Math.min(nearestOf(loaded.rows), loaded.right + loaded.wrong), 'answer', 'answers')} in {name} with
        the nearest values; the 95 % interval of the share that is right is in brackets. A rate among similar answers is
        not a guarantee for this one. <DataSetLink />
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
      See all answers
    </a>
  );
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
      note={densityNote(data) ?? `${name}. With 95 % bootstrap bands.`}
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

/** The answer's tokens with their entropies; tokens that the pooling leaves out are dimmed. */
function TokenEntropies(props: {
  readonly shown: ShownRun;
  readonly entropies: MapEntropies;
  readonly value: EntropyValue;
}) {
  const { shown, entropies, value } = props;
  const { tokens } = shown.run;
  if (value.kind === 'given') return null;
  const nats = entropies[value.kind];
  const isContent = contentTokens(tokens);
  const usesContent = value.pooling.includes('content') && isContent.includes(true);
  return (
    <div>
      <h3 className="chart-title">Entropy of each token’s map, in nats</h3>
      <ul className="token-entropies">
        {tokens.map(({ index, text }) => (
          <li key={index} data-left-out={(usesContent && !isContent[index]) || undefined}>
            {text.trim() || '␣'} <span className="mono">{formatNats(nats[index] ?? Number.NaN)}</span>
          </li>
        ))}
      </ul>
      <p className="evidence-note">
        These numbers also appear under the answer’s words while the evidence is shown.
        {usesContent && ' Faded words carry no content and do not count here.'}
      </p>
    </div>
  );
}

const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1);
