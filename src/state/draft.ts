import { create } from 'zustand';
import type { QuestionProblem } from '../source/run-source';

export type { QuestionProblem };

/** A chosen image that no question has been asked about yet; the image shelf holds its bytes under `id`. */
export interface DraftImage {
  readonly id: string;
  readonly url: string;
  readonly name: string;
  readonly sha256: string;
  readonly alt: string;
  readonly widthPx: number;
  readonly heightPx: number;
}

export type Problem =
  | { readonly kind: 'question'; readonly problem: QuestionProblem }
  | { readonly kind: 'image'; readonly reason: string }
  | { readonly kind: 'answer'; readonly reason: string }
  | { readonly kind: 'file'; readonly reason: string };

/** The question being prepared. If no image is chosen, the question is about the image of the run on screen. */
export interface Draft {
  readonly image: DraftImage | undefined;
  readonly text: string;
  readonly problem: Problem | undefined;
  setImage(image: DraftImage | undefined): void;
  setText(text: string): void;
  setProblem(problem: Problem | undefined): void;
}

export const useDraft = create<Draft>((set) => ({
  image: undefined,
  text: '',
  problem: undefined,
  setImage: (image) => set({ image, problem: undefined }),
  setText: (text) => set({ text, problem: undefined }),
  setProblem: (problem) => set({ problem }),
}));
