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
  type LikeBoth,
  likeBothQuery,
  tokenEntropiesQuery,
  whyUncompared,
} from '../../state/answer-trust';
import { isSampleOfDataSet } from '../../state/open-sample';
import { samplesIndexQuery } from '../../state/sample-queries';
import { type OpenCalibration, poolingsQuery } from '../../state/statistics-queries';
import { meanLogProb, type TrustChoices, useTrustChoices } from '../../state/trust-choices';
import type { MapEntropies } from '../../statistics/api';
import { nearestOf } from '../../text/trust-words';
import { useServices } from '../shared/services-context';
import type { Bench } from '../shared/use-bench';
import { useSourceStatus } from '../shared/use-run';
import { type CalibrationState, type EntropyChoice, useCalibration, useEntropyChoice } from './use-calibration';

/** What the page knows of how far this answer can be trusted. */
export interface AnswerTrust {
  readonly state: CalibrationState;
  readonly comparable: Comparable;
  readonly calibration: OpenCalibration | undefined;
  readonly choice: EntropyChoice | undefined;
  readonly entropies: MapEntropies | undefined;
  /** Of the whole answer, nats; undefined until it is known. */
  readonly entropyNats: number | undefined;
  readonly logProbNats: number;
  readonly like: LikeBoth | undefined;
  /** Why there will be no `like`; undefined where there is one or may yet be. */
  readonly uncompared: string | undefined;
}

export function useAnswerTrust({ run, record }: Bench): AnswerTrust {
  const services = useServices();
  const { statistics, source, recordedCalibrationUrl } = services;
  const { phase } = useSourceStatus();
  const { data: index } = useQuery(samplesIndexQuery(services));
  const ofAnswer = answerIsComparable(run, record.mapOf);
  // The model's megabytes come first.
  const isWanted = ofAnswer.kind === 'yes' && (phase === 'ready' || phase === 'failed');
  const { model } = run.header;
  const isOfSource = source.model?.name === model.name && source.model.revision === model.revision;
  // Without one of the source's own, a recorded answer may still be the embedded model's.
  const url =
    run.header.recorded && !(isOfSource && source.calibrationUrl) ? recordedCalibrationUrl : source.calibrationUrl;
  const state = useCalibration(url, {
    isWanted,
    // A table of another model, or of none, is looked at in its own view; this answer is compared with its own.
    isUsable: ({ facts }) => url === undefined || (facts !== undefined && fitOf(facts, run.header).fits),
  });
  const calibration = state.phase === 'open' ? state.calibration : undefined;
  const loaded = calibration?.loaded;
  const choice = useEntropyChoice(loaded);
  const { error: choiceError } = useQuery({
    ...poolingsQuery(statistics, loaded?.table ?? -1),
    enabled: loaded !== undefined,
  });
  const { data: entropies, error: entropiesError } = useTokenEntropies({ run, record });
  const entropyNats = entropies && choice ? answerEntropy(entropies, run, choice.value) : undefined;
  const logProbNats = answerLogProb(run);
  const { image } = run.header;
  // The examples' pictures are among the page's own; a file that was opened may be of any picture.
  const isKnownImage =
    isSampleOfDataSet(image.name) || (index?.images.some(({ file }) => file === image.name) ?? false);
  const patches = record.mapOf(0)?.values.length ?? 0;
  const ofCalibration: Comparable = calibration
    ? calibrationFits(calibration.loaded.facts, run, { patches, isKnownImage })
    : withoutCalibration(state);
  const comparable = ofAnswer.kind === 'yes' ? ofCalibration : ofAnswer;
  const nearest = nearestOf(loaded?.rows ?? 0);
  const { data: like, error: likeError } = useQuery({
    ...likeBothQuery(
      statistics,
      loaded?.table ?? -1,
      { value: choice?.value ?? meanLogProb, at: entropyNats ?? 0, nearest },
      loaded?.hasLogProbs && Number.isFinite(logProbNats)
        ? { value: meanLogProb, at: logProbNats, nearest }
        : undefined,
    ),
    enabled:
      loaded !== undefined && entropyNats !== undefined && Number.isFinite(entropyNats) && ofAnswer.kind === 'yes',
  });
  const error = choiceError ?? entropiesError ?? likeError;
  const uncompared = like ? undefined : whyUncompared(choice?.value.kind, entropyNats, error ?? undefined);
  return { state, comparable, calibration, choice, entropies, entropyNats, logProbNats, like, uncompared };
}

export function useTokenEntropies({ run, record }: Pick<Bench, 'run' | 'record'>) {
  const { statistics } = useServices();
  const isWhole = run.end !== undefined && run.tokens.length > 0 && run.header.head !== undefined;
  return useQuery({ ...tokenEntropiesQuery(statistics, record, run), enabled: isWhole });
}

const selectChosen = ({ entropy }: TrustChoices) => entropy?.kind;

/** Of each token's map, in the sense in use beside the answer. */
export function useTokenNats(bench: Bench) {
  const chosen = useTrustChoices(selectChosen);
  const { choice, entropies } = useAnswerTrust(bench);
  const kind = knownKind(choice?.value.kind ?? chosen);
  return { kind, nats: entropies?.[kind] };
}

/** A token's entropy can be computed in a known sense alone. */
function knownKind(kind: TableEntropy | undefined): EntropyKind {
  return kind === undefined || kind === 'given' ? 'sum' : kind;
}

function withoutCalibration(state: CalibrationState): Comparable {
  switch (state.phase) {
    case 'open':
      return { kind: 'yes' };
    case 'loading':
      return { kind: 'waiting', why: 'Comparing it with answers whose truth is known…' };
    case 'none':
      return { kind: 'no', why: 'This model comes with no calibration.', isMakeable: true };
    case 'failed':
      return { kind: 'no', why: `The model’s calibration could not be read: ${state.reason}`, isMakeable: true };
  }
}
