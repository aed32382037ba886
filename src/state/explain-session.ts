// A view says what is looked at; the session has the source explain it, one job after the other:
// want -> next job (what is wanted first, then the rest) -> source.explain -> maps into the run's record -> next job.
import { create } from 'zustand';
import type { MethodId } from '../contract/methods';
import type { ExplainCost, ReproductionCheck } from '../contract/run';
import type { RunSource } from '../source/run-source';
import { formatCount } from '../text/number-format';
import type { RunRecord } from './run-record';

/** The tokens that a method's maps are looked at for. */
export interface Want {
  readonly method: MethodId;
  /** Token indices; all methods' `first` come before any method's `rest`. */
  readonly first: readonly number[];
  readonly rest: readonly number[];
}

/** What is known of one method's explaining of one run, beside its maps. */
export interface MethodTrack {
  readonly check: ReproductionCheck | undefined;
  /** Of the jobs that came to their end, in order. */
  readonly costs: readonly ExplainCost[];
  /** Why nothing more comes until `resume`; undefined where it does. */
  readonly stop: { readonly kind: 'cancelled' } | { readonly kind: 'failed'; readonly reason: string } | undefined;
}

export interface RunningJob {
  readonly runId: string;
  readonly method: MethodId;
  readonly done: number;
  readonly of: number;
  /** So many are before it at the source. */
  readonly before: number;
}

export interface Explaining {
  readonly running: RunningJob | undefined;
  readonly tracks: ReadonlyMap<string, MethodTrack>;
}

export const useExplaining = create<Explaining>(() => ({ running: undefined, tracks: new Map() }));

const untouched: MethodTrack = { check: undefined, costs: [], stop: undefined };

export function trackOf({ tracks }: Pick<Explaining, 'tracks'>, runId: string, method: MethodId): MethodTrack {
  return tracks.get(keyOf(runId, method)) ?? untouched;
}

/** The run is gone, and all that was known of its explaining. */
export function forgetTracks(runId: string): void {
  useExplaining.setState(({ tracks }) => ({
    tracks: new Map([...tracks].filter(([key]) => key.slice(0, key.lastIndexOf(' ')) !== runId)),
  }));
}

export interface ExplainSession {
  /** What is looked at now, in order of urgency. It takes the place of what was wanted before; a job that serves nothing of it stops. */
  want(record: RunRecord, wants: readonly Want[]): void;
  /** Nobody looks any more. */
  release(): void;
  /** Keeps what is done, and starts nothing of that method again until `resume`. */
  cancel(runId: string, method: MethodId): void;
  /** After a cancel or a failure. */
  resume(runId: string, method: MethodId): void;
}

interface Job {
  readonly record: RunRecord;
  readonly method: MethodId;
  readonly tokenIndices: readonly number[];
  readonly isFirst: boolean;
  readonly abort: AbortController;
}

/** DEX-AR scales its gradients over all tokens that it is given: a token explained alone would have another map. */
const needsWholeAnswer: ReadonlySet<MethodId> = new Set(['dex-ar']);

export function createExplainSession(source: Pick<RunSource, 'explain'>): ExplainSession {
  let wanted: { readonly record: RunRecord; readonly wants: readonly Want[] } | undefined;
  let running: Job | undefined;

  function setTrack(runId: string, method: MethodId, change: Partial<MethodTrack>): void {
    useExplaining.setState((state) => ({
      tracks: new Map(state.tracks).set(keyOf(runId, method), { ...trackOf(state, runId, method), ...change }),
    }));
  }

  function nextJob(): Job | undefined {
    // Tokens that are still being written have nothing to be explained from.
    if (wanted === undefined || wanted.record.snapshot().end === undefined) return undefined;
    const { record } = wanted;
    const wants = wanted.wants.filter(
      ({ method }) => trackOf(useExplaining.getState(), record.id, method).stop === undefined,
    );
    const missing = (method: MethodId, indices: readonly number[]) =>
      indices.filter((index) => record.mapOf(index, method) === undefined);
    for (const part of ['first', 'rest'] as const) {
      for (const want of wants) {
        let tokenIndices = missing(want.method, want[part]);
        if (tokenIndices.length === 0) continue;
        if (needsWholeAnswer.has(want.method)) tokenIndices = record.snapshot().tokens.map(({ index }) => index);
        const abort = new AbortController();
        return { record, method: want.method, tokenIndices, isFirst: part === 'first', abort };
      }
    }
    return undefined;
  }

  /** Whether the running job is what would be started now, or as good. */
  function isStillWanted(job: Job): boolean {
    const next = nextJob();
    if (next === undefined || next.record !== job.record) return false;
    if (needsWholeAnswer.has(job.method) && next.method === job.method) return true;
    if (next.isFirst) return job.isFirst && next.method === job.method && isSubset(next.tokenIndices, job.tokenIndices);
    return wanted?.wants.some(({ method }) => method === job.method) ?? false;
  }

  function start(): void {
    if (running !== undefined) {
      if (!isStillWanted(running)) running.abort.abort();
      return;
    }
    const job = nextJob();
    if (job === undefined) return;
    running = job;
    void run(job).finally(() => {
      running = undefined;
      useExplaining.setState({ running: undefined });
      start();
    });
  }

  async function run({ record, method, tokenIndices, abort }: Job): Promise<void> {
    const { id } = record;
    const progress = { runId: id, method, of: tokenIndices.length };
    const outstanding = new Set(tokenIndices);
    let isDone = false;
    const show = (before = 0) => {
      useExplaining.setState({ running: { ...progress, done: tokenIndices.length - outstanding.size, before } });
    };
    show();
    try {
      const { header, tokens } = record.snapshot();
      for await (const event of source.explain({ method, header, tokens, tokenIndices }, abort.signal)) {
        switch (event.type) {
          case 'queued':
            show(event.before);
            break;
          case 'check':
            setTrack(id, method, { check: event.check });
            break;
          case 'map':
            record.append(event);
            outstanding.delete(event.map.tokenIndex);
            show();
            break;
          case 'end':
            isDone = event.reason === 'done';
            if (isDone) {
              const { costs } = trackOf(useExplaining.getState(), id, method);
              setTrack(id, method, { costs: [...costs, event.cost] });
            }
        }
      }
      // Without this, what never comes would be asked for again and again.
      if (!abort.signal.aborted && (!isDone || outstanding.size > 0)) {
        const reason = isDone
          ? `${formatCount(outstanding.size, 'token', 'tokens')} came back without a map`
          : 'it broke off before its end';
        setTrack(id, method, { stop: { kind: 'failed', reason } });
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      setTrack(id, method, {
        stop: { kind: 'failed', reason: error instanceof Error ? error.message : String(error) },
      });
    }
  }

  return {
    want(record, wants) {
      wanted = { record, wants };
      start();
    },
    release() {
      wanted = undefined;
      running?.abort.abort();
    },
    cancel(runId, method) {
      setTrack(runId, method, { stop: { kind: 'cancelled' } });
      if (running?.record.id === runId && running.method === method) running.abort.abort();
    },
    resume(runId, method) {
      setTrack(runId, method, { stop: undefined });
      start();
    },
  };
}

function isSubset(of: readonly number[], all: readonly number[]): boolean {
  return of.every((index) => all.includes(index));
}

const keyOf = (runId: string, method: MethodId) => `${runId} ${method}`;
