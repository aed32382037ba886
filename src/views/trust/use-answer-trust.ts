import { useQuery } from '@tanstack/react-query';
import { fitOf } from '../../contract/calibration';
import type { TableEntropy } from '../../contract/calibration-table';
import type { EntropyKind } from '../../math/statistics/entropy';
import {
  answerEntropy,
  answerIsComparable,
  answerLogProb,
  type Comparable,
  calibrationFits,
  comparisonProblem,
  type LikeBoth,
  likeBothQuery,
  tokenEntropiesQuery,
} from '../../state/answer-trust';
import { isDatasetSample } from '../../state/open-sample';
import type { RunSnapshot } from '../../state/run-record';
import { samplesIndexQuery } from '../../state/sample-queries';
import { type OpenCalibration, poolingsQuery } from '../../state/statistics-queries';
import { meanLogProb, type TrustChoices, useTrustChoices } from '../../state/trust-choices';
import type { MapEntropies } from '../../statistics/api';
import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import type { ShownRun } from '../shared/use-shown-run';
import { nearestOf } from './trust-words';
import { type CalibrationState, type EntropyChoice, useCalibration, useEntropyChoice } from './use-calibration';

/** The evidence on how far this answer can be trusted. */
export interface AnswerTrust {
  readonly state: CalibrationState;
  readonly comparable: Comparable;
  readonly calibration: OpenCalibration | undefined;
  readonly choice: EntropyChoice | undefined;
  readonly entropies: MapEntropies | undefined;
  /** Entropy of the answer in nats; undefined until known. */
  readonly entropyNats: number | undefined;
  readonly logProbNats: number;
  readonly like: LikeBoth | undefined;
  /** Why `like` is unavailable; undefined if it is available or still loading. */
  readonly problem: string | undefined;
}

export function useAnswerTrust({ run }: Pick<ShownRun, 'run'>): AnswerTrust {
  const services = useServices();
  const { statistics, source, recordedCalibrationUrl } = services;
  const { phase } = useSourceStatus();
  const { data: index } = useQuery(samplesIndexQuery(services));
  const answerComparable = answerIsComparable(run);
  // Do not compete with the model download, which is larger.
  const isWanted = answerComparable.kind === 'yes' && (phase === 'ready' || phase === 'failed');
  const { model } = run.header;
  const isOfSource = source.model?.name === model.name && source.model.revision === model.revision;
  // Recorded answers come from the embedded model: use its calibration unless the source has one for the same model.
  const url =
    run.header.recorded && !(isOfSource && source.calibrationUrl) ? recordedCalibrationUrl : source.calibrationUrl;
  const state = useCalibration(url, {
    isWanted,
    // Here, ignore a user's calibration for another or an unknown model if the answer's model has its own.
    isUsable: ({ facts }) => url === undefined || (facts !== undefined && fitOf(facts, run.header).fits),
  });
  const calibration = state.phase === 'open' ? state.calibration : undefined;
  const loaded = calibration?.loaded;
  const choice = useEntropyChoice(loaded);
  const { error: choiceError } = useQuery(poolingsQuery(statistics, loaded?.table));
  const { data: entropies, error: entropiesError } = useTokenEntropies(run);
  const entropyNats = entropies && choice ? answerEntropy(entropies, run, choice.value) : undefined;
  const logProbNats = answerLogProb(run);
  const { image } = run.header;
  // The page's images and calibration samples are known; an opened file may contain any image.
  const isKnownImage = isDatasetSample(image.name) || (index?.images.some(({ file }) => file === image.name) ?? false);
  const patches = run.mapOf(0)?.values.length ?? 0;
  const calibrationComparable: Comparable = calibration
    ? calibrationFits(calibration.loaded.facts, run, { patches, isKnownImage })
    : withoutCalibration(state);
  const comparable = answerComparable.kind === 'yes' ? calibrationComparable : answerComparable;
  const nearest = nearestOf(loaded?.rows ?? 0);
  const isEntropyKnown = choice !== undefined && entropyNats !== undefined && !Number.isNaN(entropyNats);
  const { data: like, error: likeError } = useQuery(
    likeBothQuery(
      statistics,
      loaded?.table,
      isEntropyKnown && answerComparable.kind === 'yes' ? { value: choice.value, at: entropyNats, nearest } : undefined,
      loaded?.hasLogProbs && !Number.isNaN(logProbNats) ? { value: meanLogProb, at: logProbNats, nearest } : undefined,
    ),
  );
  const error = choiceError ?? entropiesError ?? likeError;
  const problem = like ? undefined : comparisonProblem(choice?.value.kind, entropyNats, error ?? undefined);
  return { state, comparable, calibration, choice, entropies, entropyNats, logProbNats, like, problem };
}

function useTokenEntropies(run: RunSnapshot) {
  const { statistics } = useServices();
  const isWhole = run.end !== undefined && run.tokens.length > 0 && run.header.head !== undefined;
  return useQuery({ ...tokenEntropiesQuery(statistics, run), enabled: isWhole });
}

const selectChosen = ({ entropy }: TrustChoices) => entropy?.kind;

/** Entropy of each token's map, using the kind of entropy chosen for the answer. */
export function useTokenNats(shown: ShownRun) {
  const chosen = useTrustChoices(selectChosen);
  const { choice, entropies } = useAnswerTrust(shown);
  const kind = knownKind(choice?.value.kind ?? chosen);
  return { kind, nats: entropies?.[kind] };
}

/** The kind of entropy to compute for tokens: `sum` if the file does not state a kind. */
function knownKind(kind: TableEntropy | undefined): EntropyKind {
  return kind === undefined || kind === 'given' ? 'sum' : kind;
}

function withoutCalibration(state: CalibrationState): Comparable {
  switch (state.phase) {
    case 'open':
      return { kind: 'yes' };
    case 'loading':
      return { kind: 'waiting', why: 'Comparing this answer with scored answers…' };
    case 'none':
      return { kind: 'no', why: 'This model has no calibration.', isMakeable: true };
    case 'failed':
      return { kind: 'no', why: `The model’s calibration could not be read: ${state.reason}`, isMakeable: true };
  }
}
