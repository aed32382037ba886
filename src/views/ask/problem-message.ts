import type { Problem, QuestionProblem } from '../../state/draft';

export function problemMessage(problem: Problem): string {
  switch (problem.kind) {
    case 'question':
      return questionMessage(problem.problem);
    case 'image':
      return problem.reason;
    case 'answer':
      return `No answer: ${problem.reason}.`;
    case 'file':
      return `That file could not be opened: ${problem.reason}.`;
  }
}

function questionMessage(problem: QuestionProblem): string {
  switch (problem.kind) {
    case 'empty':
      return 'Type a question, or take one of those below.';
    case 'too-long':
      return `The question has ${problem.tokens} tokens; the model takes at most ${problem.limit}.`;
    case 'refused':
      return `${problem.reason.charAt(0).toUpperCase()}${problem.reason.slice(1)}.`;
    case 'unknown-words':
      return `The model has never seen ${quoted(problem.words)}. It knows spheres, cubes and cylinders, their colours, sizes and materials.`;
  }
}

function quoted(words: readonly string[]): string {
  const inQuotes = words.map((word) => `“${word}”`);
  const last = inQuotes.pop() ?? '';
  return inQuotes.length === 0 ? last : `${inQuotes.join(', ')} and ${last}`;
}
