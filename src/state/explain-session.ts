// A view requests maps and the session has the source compute them, one job at a time:
// request -> next job (urgent tokens first, then the rest) -> source.explain -> maps go into the run record -> next job.

import { create } from 'zustand';
import type { MethodId } from '../contract/methods';
import type { ExplainCost, ReproductionCheck } from '../contract/run';
import type { RunSource } from '../source/run-source';
import { formatCount } from '../text/number-format';
import { reasonOf } from '../text/reason-of';
import type { RunRecord } from './run-record';

/** A request for one method's maps of some tokens. */
export interface MapRequest {
  readonly method: MethodId;
  /** Token indices; `first` of every method is computed before `rest` of any. */
  readonly first: readonly number[];
  readonly rest: readonly number[];
}

/** State of one method on one run, apart from the maps. */
export interface MethodTrack {
  readonly check: ReproductionCheck | undefined;
  /** Costs of completed jobs, in order. */
  readonly costs: readonly ExplainCost[];
  /** Why the method is paused until `resume`; undefined if it is not paused. */
  readonly stop: { readonly kind: 'cancelled' } | { readonly kind: 'failed'; readonly reason: string } | undefined;
}

interface RunningJob {
  readonly runId: string;
  readonly method: MethodId;
  readonly done: number;
  readonly of: number;
  /** Number of requests ahead in the source's queue. */
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

/** Drops the tracks of a run that has been removed. */
export function forgetTracks(runId: string): void {
  useExplaining.setState(({ tracks }) => ({
    tracks: new Map([...tracks].filter(([key]) => key.slice(0, key.lastIndexOf(' ')) !== runId)),
  }));
}

export interface ExplainSession {
  /** Replaces all previous requests; list the most urgent first. A running job that none of them needs is aborted. */
  request(record: RunRecord, requests: readonly MapRequest[]): void;
  /** Withdraws all requests and aborts the running job. */
  release(): void;
  /** Stops this method until `resume`; finished maps are kept. */
  cancel(runId: string, method: MethodId): void;
  /** Continues after `cancel` or a failure. */
  resume(runId: string, method: MethodId): void;
}

interface Job {
  readonly record: RunRecord;
  readonly method: MethodId;
  readonly tokenIndices: readonly number[];
  readonly isFirst: boolean;
  readonly abort: AbortController;
}

/** DEX-AR normalises gradients over all tokens of the request, so a token explained alone would get a different map. */
const needsWholeAnswer: ReadonlySet<MethodId> = new Set(['dex-ar']);

export function createExplainSession(source: Pick<RunSource, 'explain'>): ExplainSession {
  let current: { readonly record: RunRecord; readonly requests: readonly MapRequest[] } | undefined;
  let running: Job | undefined;

  function setTrack(runId: string, method: MethodId, change: Partial<MethodTrack>): void {
    useExplaining.setState((state) => ({
      tracks: new Map(state.tracks).set(keyOf(runId, method), { ...trackOf(state, runId, method), ...change }),
    }));
  }

  function nextJob(): Job | undefined {
    // An answer can be explained only when it is complete.
    if (current === undefined || current.record.snapshot().end === undefined) return undefined;
    const { record } = current;
    const requests = current.requests.filter(
      ({ method }) => trackOf(useExplaining.getState(), record.id, method).stop === undefined,
    );
    const missing = (method: MethodId, indices: readonly number[]) =>
      indices.filter((index) => !record.hasMap(index, method));
    for (const part of ['first', 'rest'] as const) {
      for (const request of requests) {
        let tokenIndices = missing(request.method, request[part]);
        if (tokenIndices.length === 0) continue;
        if (needsWholeAnswer.has(request.method)) tokenIndices = record.snapshot().tokens.map(({ index }) => index);
        const abort = new AbortController();
        return { record, method: request.method, tokenIndices, isFirst: part === 'first', abort };
      }
    }
    return undefined;
  }

  /** Whether the running job is, or covers, the job that would be started now. */
  function isStillNeeded(job: Job): boolean {
    const next = nextJob();
    if (next === undefined || next.record !== job.record) return false;
    if (needsWholeAnswer.has(job.method) && next.method === job.method) return true;
    if (next.isFirst) return job.isFirst && next.method === job.method && isSubset(next.tokenIndices, job.tokenIndices);
    return current?.requests.some(({ method }) => method === job.method) ?? false;
  }

  function start(): void {
    if (running !== undefined) {
      if (!isStillNeeded(running)) running.abort.abort();
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
      const { header, tokens, states } = record.snapshot();
      for await (const event of source.explain({ method, header, tokens, states, tokenIndices }, abort.signal)) {
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
      // Otherwise missing maps would be requested again in an endless loop.
      if (!abort.signal.aborted && (!isDone || outstanding.size > 0)) {
        const reason = isDone
          ? `${formatCount(outstanding.size, 'token', 'tokens')} returned without a map`
          : 'it was interrupted';
        setTrack(id, method, { stop: { kind: 'failed', reason } });
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      setTrack(id, method, {
        stop: { kind: 'failed', reason: reasonOf(error) },
      });
    }
  }

  return {
    request(record, requests) {
      current = { record, requests };
      start();
    },
    release() {
      current = undefined;
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

function isSubset(some: readonly number[], all: readonly number[]): boolean {
  return some.every((index) => all.includes(index));
}

const keyOf = (runId: string, method: MethodId) => `${runId} ${method}`;
