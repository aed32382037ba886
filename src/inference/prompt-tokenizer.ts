import { Tokenizer } from '@huggingface/tokenizers';
import type { ModelManifest } from '../contract/manifest';
import { visibleText } from '../text/visible-text';

type PromptFacts = ModelManifest['prompt'];

type TokenizedQuestion =
  | {
      readonly kind: 'tokens';
      readonly ids: readonly number[];
      /** The question with the model's words for its synonyms; undefined if it has none. */
      readonly askedAs: string | undefined;
    }
  | { readonly kind: 'empty' }
  | { readonly kind: 'too-long'; readonly tokens: number; readonly limit: number }
  | { readonly kind: 'unknown-words'; readonly words: readonly string[] };

export interface PromptTokenizer {
  /** Tokens before the image, including the begin-of-text token. */
  readonly before: readonly number[];
  /** Tokens after the question. */
  readonly after: readonly number[];
  tokenizeQuestion(text: string): TokenizedQuestion;
  /** The piece as in the vocabulary: `sphere`, `##s`. */
  pieceOf(tokenId: number): string;
}

/** The contents of tokenizer.json and tokenizer_config.json. */
export interface TokenizerFiles {
  readonly tokenizer: object;
  readonly config: object;
}

// `companion/src/patchlight/models/question_words.py` reads questions in the same way; change both together.
export function createPromptTokenizer(files: TokenizerFiles, prompt: PromptFacts): PromptTokenizer {
  const tokenizer = new Tokenizer(files.tokenizer, files.config);
  const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const untrained = new Set(prompt.neverSeen.map((token) => tokenizer.token_to_id(token)));
  const isKnown = (word: string) => encode(word).every((id) => id !== prompt.unkTokenId && !untrained.has(id));
  const synonyms = new Map(Object.entries(prompt.synonyms));
  const [before = '', between = '', after = ''] = prompt.template.split(/<image>|\{question\}/);

  return {
    before: [prompt.bosTokenId, ...encode(before)],
    after: encode(after),
    tokenizeQuestion(text) {
      const visible = visibleText(text);
      const asked = withoutSynonyms(visible, synonyms);
      const words = wordsOf(asked);
      if (words.length === 0) return { kind: 'empty' };
      const known = words.map((word) => [word, word.toLowerCase(), capitalised(word)].find(isKnown));
      const unknown = words.filter((_, i) => known[i] === undefined);
      if (unknown.length > 0) return { kind: 'unknown-words', words: [...new Set(unknown)] };
      // Encode word by word, so that a special token in the question, such as <image>, is split and treated as plain
      // text.
      const question = known.flatMap((word) => encode(word!));
      if (question.length > prompt.maxQuestionTokens)
        return { kind: 'too-long', tokens: question.length, limit: prompt.maxQuestionTokens };
      return { kind: 'tokens', ids: [...encode(between), ...question], askedAs: asked === visible ? undefined : asked };
    },
    pieceOf: (tokenId) => tokenizer.id_to_token(tokenId) ?? `<${tokenId}>`,
  };
}

/** Replaces each word that has one by the model's synonym, with the word's own capital. */
function withoutSynonyms(text: string, synonyms: ReadonlyMap<string, string>): string {
  return text.replace(/\p{L}+(?:['’]\p{L}+)*/gu, (word) => {
    const synonym = synonyms.get(word.toLowerCase().replaceAll('’', "'"));
    if (synonym === undefined) return word;
    return word.charAt(0) === word.charAt(0).toLowerCase()
      ? synonym
      : `${synonym.charAt(0).toUpperCase()}${synonym.slice(1)}`;
  });
}

/** Words and single punctuation marks, as split by the tokenizer's pre-tokenizer. */
function wordsOf(text: string): string[] {
  return text.match(/[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+/gu) ?? [];
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1).toLowerCase();
}
