import type { RunHeader } from '../contract/run';

/** Why the run's FastRM maps may be meaningless, as a sentence; undefined if the head was trained on the model. */
export function headWarning({ head, model }: Pick<RunHeader, 'head' | 'model'>): string | undefined {
  if (head === undefined) return undefined;
  const { match, trainedOn } = head;
  const trained = trainedOn === undefined ? 'another model' : `${trainedOn.name} (${trainedOn.revision})`;
  switch (match) {
    case 'other':
      return `Head trained on ${trained}, not on ${model.name} (${model.revision}): its maps are meaningless.`;
    case 'unverified':
      return `Head trained on ${trained}; not verified that ${model.name} (${model.revision}) has the same weights.`;
    case 'same':
    case undefined:
      return undefined;
  }
}
