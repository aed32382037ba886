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
  /** The images after the first, if the question is about several. */
  readonly more: readonly DraftImage[];
  /** Whether the next image is added instead of replacing those chosen. */
  readonly isAdding: boolean;
  readonly text: string;
  readonly problem: Problem | undefined;
  setImage(image: DraftImage | undefined): void;
  /** Chooses images in the order in which the model reads them. */
  setImages(images: readonly DraftImage[]): void;
  setAdding(isAdding: boolean): void;
  setText(text: string): void;
  setProblem(problem: Problem | undefined): void;
}

export const useDraft = create<Draft>((set) => ({
  image: undefined,
  more: [],
  isAdding: false,
  text: '',
  problem: undefined,
  setImage: (image) => set({ image, more: [], isAdding: false, problem: undefined }),
  setImages: ([image, ...more]) => set({ image, more, isAdding: false, problem: undefined }),
  setAdding: (isAdding) => set({ isAdding }),
  setText: (text) => set({ text, problem: undefined }),
  setProblem: (problem) => set({ problem }),
}));

export function draftImages({ image, more }: Pick<Draft, 'image' | 'more'>): readonly DraftImage[] {
  return image === undefined ? [] : [image, ...more];
}
