import type { Problem, QuestionProblem } from '../../state/draft';
import { quotedList } from '../../text/visible-text';

export function problemMessage(problem: Problem): string {
  switch (problem.kind) {
    case 'question':
      return questionMessage(problem.problem);
    case 'image':
      return problem.reason;
    case 'answer':
      return `No answer: ${problem.reason}.`;
    case 'file':
      return `The file could not be opened: ${problem.reason}.`;
  }
}

function questionMessage(problem: QuestionProblem): string {
  switch (problem.kind) {
    case 'empty':
      return 'Type a question, or choose one below.';
    case 'too-long':
      return `The question has ${problem.tokens} tokens; the model accepts at most ${problem.limit}.`;
    case 'refused':
      return `${problem.reason.charAt(0).toUpperCase()}${problem.reason.slice(1)}.`;
    case 'unknown-words':
      return `The model does not know ${quotedList(problem.words)}. It knows spheres, cubes and cylinders, and their colours, sizes and materials.`;
  }
}
