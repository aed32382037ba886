import { create } from 'zustand';
import type { NoHead, RunHeader } from '../contract/run';
import type { Offer } from './method-offers';
import type { RunSnapshot } from './run-record';

const storageKey = 'patchlight.head-notices';

interface HeadNotices {
  /** The models whose missing head the user has been told about. */
  readonly dismissed: readonly string[];
}

export const useHeadNotices = create<HeadNotices>(() => ({ dismissed: storedModels() }));

/** If storage is blocked (private windows, embedded pages), this lasts only while the page is open. */
function storedModels(): readonly string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]');
    return Array.isArray(stored) ? stored.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

export function dismissHeadNotice(header: RunHeader): void {
  const { dismissed } = useHeadNotices.getState();
  const next = [...new Set([...dismissed, modelOf(header)])];
  useHeadNotices.setState({ dismissed: next });
  try {
    localStorage.setItem(storageKey, JSON.stringify(next));
  } catch {}
}

/**
 * Whether to show why a run has no FastRM maps. A missing head is mentioned with a model's first answer of this visit,
 * until it is dismissed; a head that could not be used, with every answer. `runs`: oldest first.
 */
export function selectShowsNotice(
  { dismissed }: HeadNotices,
  header: RunHeader,
  runs: readonly Pick<RunSnapshot, 'header'>[],
): boolean {
  if (header.noHead === undefined) return false;
  if (header.noHead.kind === 'unusable') return true;
  const model = modelOf(header);
  const first = runs.find((run) => run.header.noHead?.kind === 'absent' && modelOf(run.header) === model);
  return !dismissed.includes(model) && first?.header.id === header.id;
}

/** Why an answer has no FastRM maps, and what the page shows instead if no method is chosen. */
export function noticeText({ kind, reason }: NoHead, offers: readonly Offer[]): string {
  const hasTam = offers.some(({ method, refusal }) => method === 'tam' && refusal === undefined);
  if (!hasTam) return reason;
  return `${reason} Without ${kind === 'absent' ? 'a head' : 'a usable head'}, the page shows TAM by default.`;
}

function modelOf({ model: { name, revision } }: RunHeader): string {
  return `${name} ${revision}`;
}
