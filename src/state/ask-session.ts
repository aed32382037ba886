import { create } from 'zustand';
import { askedImages } from '../contract/run';
import { QuestionRefused, type RunSource } from '../source/run-source';
import { reasonOf } from '../text/reason-of';
import { useChoices } from './choices';
import { type Problem, useDraft } from './draft';
import type { ImageIntake } from './image-intake';
import { collectRun, type RunLibrary } from './run-library';

export type Asking =
  | { readonly phase: 'idle' }
  /** The image is still being read or the model is still loading; the question is sent once both are ready. */
  | { readonly phase: 'queued'; readonly text: string; readonly until: 'image' | 'model' }
  /** The model is busy; `before` is the number of questions ahead in the queue. */
  | { readonly phase: 'queued'; readonly text: string; readonly until: 'turn'; readonly before: number }
  /** `runId` is set once the answer has begun. */
  | { readonly phase: 'answering'; readonly text: string; readonly runId?: string };

export const useAsking = create<{ readonly asking: Asking }>(() => ({ asking: { phase: 'idle' } }));

export interface AskSession {
  /**
   * Asks about the chosen images, even if one is still being read; if none is chosen, asks about those of the run on
   * screen.
   */
  ask(text: string): void;
  stop(): void;
}

/**
 * One question at a time: a new question cancels the previous one. If a question produces no answer, the previous run
 * stays on screen.
 */
export function createAskSession(
  source: RunSource,
  library: RunLibrary,
  intake: Pick<ImageIntake, 'settled' | 'images'>,
): AskSession {
  let running: AbortController | undefined;

  async function answer(text: string, signal: AbortSignal): Promise<void> {
    const settle = async () => {
      useAsking.setState({ asking: { phase: 'queued', text, until: 'image' } });
      return (await Promise.race([intake.settled(), aborted(signal)])) && !signal.aborted;
    };
    const load = async () => {
      if (source.status.phase === 'ready') return;
      useAsking.setState({ asking: { phase: 'queued', text, until: 'model' } });
      await Promise.race([source.load(), aborted(signal)]);
    };
    if (!(await settle())) return;
    if (intake.images().length === 0 && source.opensWith === 'image') {
      await load(); // the image that the page opens with depends on the model
      if (signal.aborted || !(await settle())) return;
    }
    const { image: draft, more } = useDraft.getState();
    const images = intake.images();
    if (images.length === 0) {
      useDraft.getState().setProblem({ kind: 'image', reason: 'Choose an image first.' });
      return;
    }
    await load();
    if (signal.aborted) return;
    const problem = source.checkQuestion(text);
    if (problem !== undefined) {
      useDraft.getState().setProblem({ kind: 'question', problem });
      return;
    }
    const previous = useChoices.getState().runId;
    useAsking.setState({ asking: { phase: 'answering', text } });
    const record = await collectRun(library, source.ask({ ...askedImages(images), text }, signal), {
      onQueued(before) {
        if (!signal.aborted) useAsking.setState({ asking: { phase: 'queued', text, until: 'turn', before } });
      },
      onBegin({ id }) {
        if (signal.aborted) return;
        useAsking.setState({ asking: { phase: 'answering', text, runId: id } });
        useChoices.getState().showRun(id);
        // Keep images chosen in the meantime: they are for the next question.
        const now = useDraft.getState();
        if (now.image === draft && now.more === more) useDraft.getState().setImage(undefined);
      },
    });
    const { tokens, end } = record.snapshot();
    // A partial answer that has tokens stays on screen.
    const isCut = end?.reason === 'failed' || end?.reason === 'truncated' || end?.reason === 'cancelled';
    if (tokens.length > 0 || !isCut) return;
    if (end.reason !== 'cancelled') {
      useDraft.getState().setProblem({ kind: 'answer', reason: end.message ?? 'the model stopped with an error' });
    }
    if (previous === undefined) return;
    if (useChoices.getState().runId === record.id) useChoices.getState().showRun(previous);
    library.drop(record.id);
  }

  return {
    ask(text) {
      const problem = source.checkQuestion(text);
      useDraft.getState().setProblem(problem && { kind: 'question', problem });
      if (problem !== undefined) return;
      running?.abort();
      const controller = new AbortController();
      running = controller;
      answer(text, controller.signal)
        .catch((error: unknown) => {
          if (!controller.signal.aborted) useDraft.getState().setProblem(problemOf(error));
        })
        .finally(() => {
          if (running === controller) useAsking.setState({ asking: { phase: 'idle' } });
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
