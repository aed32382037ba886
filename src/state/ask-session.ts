import { create } from 'zustand';
import { QuestionRefused, type RunSource } from '../source/run-source';
import { reasonOf } from '../text/reason-of';
import { useChoices } from './choices';
import { type Problem, useDraft } from './draft';
import type { ImageIntake } from './image-intake';
import { collectRun, type RunLibrary } from './run-library';

export type Asking =
  | { readonly phase: 'idle' }
  /** Asked while the image is still being read or the model loading; it is put to it as soon as it can answer. */
  | { readonly phase: 'queued'; readonly text: string; readonly until: 'image' | 'model' }
  /** The model is answering others: so many of them before this one. */
  | { readonly phase: 'queued'; readonly text: string; readonly until: 'turn'; readonly before: number }
  /** `runId` from the answer's beginning on. */
  | { readonly phase: 'answering'; readonly text: string; readonly runId?: string };

export const useAsking = create<{ readonly asking: Asking }>(() => ({ asking: { phase: 'idle' } }));

export interface AskSession {
  /** About the image chosen, or still being read, when it is asked; without one, about that of the run on screen. */
  ask(text: string): void;
  stop(): void;
}

/** One question at a time: a new one stops the one before. A question that comes to nothing leaves the former run on screen. */
export function createAskSession(
  source: RunSource,
  library: RunLibrary,
  intake: Pick<ImageIntake, 'settled' | 'image'>,
): AskSession {
  let running: AbortController | undefined;

  async function answer(text: string, signal: AbortSignal): Promise<void> {
    useAsking.setState({ asking: { phase: 'queued', text, until: 'image' } });
    const isUsable = await Promise.race([intake.settled(), aborted(signal)]);
    if (!isUsable || signal.aborted) return;
    const draft = useDraft.getState().image;
    const image = intake.image();
    if (image === undefined) {
      useDraft.getState().setProblem({ kind: 'image', reason: 'Choose an image first.' });
      return;
    }
    if (source.status.phase !== 'ready') {
      useAsking.setState({ asking: { phase: 'queued', text, until: 'model' } });
      await Promise.race([source.load(), aborted(signal)]);
    }
    if (signal.aborted) return;
    const problem = source.checkQuestion(text);
    if (problem !== undefined) {
      useDraft.getState().setProblem({ kind: 'question', problem });
      return;
    }
    const former = useChoices.getState().runId;
    useAsking.setState({ asking: { phase: 'answering', text } });
    const record = await collectRun(library, source.ask({ image, text }, signal), {
      onQueued(before) {
        if (!signal.aborted) useAsking.setState({ asking: { phase: 'queued', text, until: 'turn', before } });
      },
      onBegin({ id }) {
        if (signal.aborted) return;
        useAsking.setState({ asking: { phase: 'answering', text, runId: id } });
        useChoices.getState().showRun(id);
        // An image chosen since then waits for a question of its own.
        if (useDraft.getState().image === draft) useDraft.getState().setImage(undefined);
      },
    });
    const { tokens, end } = record.snapshot();
    // With tokens it is a partial answer, and stands on screen as one.
    const isCut = end?.reason === 'failed' || end?.reason === 'truncated' || end?.reason === 'cancelled';
    if (tokens.length > 0 || !isCut) return;
    if (end.reason !== 'cancelled') {
      useDraft.getState().setProblem({ kind: 'answer', reason: end.message ?? 'the model stopped with an error' });
    }
    if (former === undefined) return;
    if (useChoices.getState().runId === record.id) useChoices.getState().showRun(former);
    library.drop(record.id);
  }

  return {
    ask(text) {
      const problem = source.checkQuestion(text);
      useDraft.getState().setProblem(problem && { kind: 'question', problem });
      if (problem !== undefined) return;
      running?.abort();
      const mine = new AbortController();
      running = mine;
      answer(text, mine.signal)
        .catch((error: unknown) => {
          if (!mine.signal.aborted) useDraft.getState().setProblem(problemOf(error));
        })
        .finally(() => {
          if (running === mine) useAsking.setState({ asking: { phase: 'idle' } });
        });
    },
    stop() {
      running?.abort();
    },
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof QuestionRefused) return { kind: 'question', problem: error.problem };
  return { kind: 'answer', reason: reasonOf(error) };
}

function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}
