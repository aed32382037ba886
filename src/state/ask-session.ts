import { create } from 'zustand';
import type { Question, RunSource } from '../source/run-source';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { collectRun, type RunLibrary } from './run-library';

export type Asking =
  | { readonly phase: 'idle' }
  /** Asked while the model is still loading; it is put to it as soon as it can answer. */
  | { readonly phase: 'queued'; readonly text: string }
  | { readonly phase: 'answering'; readonly text: string };

export const useAsking = create<{ readonly asking: Asking }>(() => ({ asking: { phase: 'idle' } }));

export interface AskSession {
  ask(question: Question): void;
  stop(): void;
}

/** One question at a time: a new one stops the one before. A question that comes to nothing leaves the former run on screen. */
export function createAskSession(source: RunSource, library: RunLibrary): AskSession {
  let running: AbortController | undefined;

  async function answer(question: Question, signal: AbortSignal): Promise<void> {
    const former = useChoices.getState().runId;
    if (source.status.phase !== 'ready') {
      useAsking.setState({ asking: { phase: 'queued', text: question.text } });
      await Promise.race([source.load(), aborted(signal)]);
    }
    if (signal.aborted) return;
    const problem = source.checkQuestion(question.text);
    if (problem !== undefined) {
      useDraft.getState().setProblem({ kind: 'question', problem });
      return;
    }
    useAsking.setState({ asking: { phase: 'answering', text: question.text } });
    const record = await collectRun(library, source.ask(question, signal), ({ id }) => {
      useChoices.getState().showRun(id);
      useDraft.getState().setImage(undefined);
    });
    const { tokens, end } = record.snapshot();
    if (end?.reason === 'failed') {
      useDraft.getState().setProblem({ kind: 'answer', reason: end.message ?? 'the model stopped with an error' });
      const isOnScreen = useChoices.getState().runId === record.id;
      if (tokens.length === 0 && former !== undefined && isOnScreen) useChoices.getState().showRun(former);
    }
  }

  return {
    ask(question) {
      const problem = source.checkQuestion(question.text);
      useDraft.getState().setProblem(problem && { kind: 'question', problem });
      if (problem !== undefined) return;
      running?.abort();
      const mine = new AbortController();
      running = mine;
      answer(question, mine.signal)
        .catch((error: unknown) => {
          if (mine.signal.aborted) return;
          const reason = error instanceof Error ? error.message : String(error);
          useDraft.getState().setProblem({ kind: 'answer', reason });
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
