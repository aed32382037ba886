import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseManifest } from '../contract/manifest';
import { exampleManifest } from '../contract/manifest.example';
import askedQuestions from './fixtures/asked-questions.json';
import tokenizerJson from './fixtures/tokenizer.json';
import tokenizerConfig from './fixtures/tokenizer_config.json';
import { createPromptTokenizer } from './prompt-tokenizer';

const files = { tokenizer: tokenizerJson, config: tokenizerConfig };
const tokenizer = createPromptTokenizer(files, exampleManifest().prompt);

function piecesOf(text: string): readonly string[] {
  const tokenized = tokenizer.tokenizeQuestion(text);
  if (tokenized.kind !== 'tokens') throw new Error(JSON.stringify(tokenized));
  return tokenized.ids.map(tokenizer.pieceOf);
}

test('splits the prompt at the image and the question', () => {
  expect(tokenizer.before.map(tokenizer.pieceOf)).toEqual(['<s>', 'USER', ':']);
  expect(tokenizer.after.map(tokenizer.pieceOf)).toEqual(['ASSISTANT', ':']);
});

test('tokenizes words, sub-tokens and punctuation', () => {
  expect(piecesOf('How many spheres are there?')).toEqual(['How', 'many', 'sphere', '##s', 'are', 'there', '?']);
});

test('falls back to a case that the model knows', () => {
  expect(piecesOf('WHAT color is the Large SPHERE?')).toEqual(['what', 'color', 'is', 'the', 'large', 'sphere', '?']);
});

test('falls back to a capital if only that is known', () => {
  const { can: _, ...vocab } = tokenizerJson.model.vocab;
  const capitals = { ...tokenizerJson, model: { ...tokenizerJson.model, vocab } };
  const tokenized = createPromptTokenizer({ ...files, tokenizer: capitals }, exampleManifest().prompt).tokenizeQuestion(
    'can',
  );
  expect(tokenized).toMatchObject({ kind: 'tokens', ids: [tokenizerJson.model.vocab.Can] });
});

test('a word whose token was never trained is unknown, unless another case was', () => {
  const prompt = { ...exampleManifest().prompt, neverSeen: ['what', 'colour', 'Where', 'where'] };
  const { tokenizeQuestion, pieceOf } = createPromptTokenizer(files, prompt);
  const tokenized = tokenizeQuestion('what color is it');
  expect(tokenized.kind === 'tokens' && tokenized.ids.map(pieceOf)).toEqual(['What', 'color', 'is', 'it']);
  expect(tokenizeQuestion('what colour is it')).toEqual({ kind: 'unknown-words', words: ['colour'] });
  expect(tokenizeQuestion('Where is it?')).toEqual({ kind: 'unknown-words', words: ['Where'] });
});

test('a synonym is asked with the model’s word, which is reported', () => {
  const synonyms = { colour: 'color', picture: 'image', "what's": 'what is' };
  const prompt = { ...exampleManifest().prompt, neverSeen: ['colour', 'picture'], synonyms };
  const { tokenizeQuestion, pieceOf } = createPromptTokenizer(files, prompt);
  const piecesAndText = (text: string) => {
    const tokenized = tokenizeQuestion(text);
    return tokenized.kind === 'tokens' ? [tokenized.ids.map(pieceOf).join(' '), tokenized.askedAs] : tokenized;
  };
  expect(piecesAndText('What colour is the sphere?')).toEqual([
    'What color is the sphere ?',
    'What color is the sphere?',
  ]);
  expect(piecesAndText('What’s the COLOUR?')).toEqual(['What is the color ?', 'What is the Color?']);
  expect(piecesAndText('What color is it')).toEqual(['What color is it', undefined]);
  expect(piecesAndText('what colourful picture')).toEqual({ kind: 'unknown-words', words: ['colourful'] });
});

const modelFile = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../public/models/patchlight-scenes/${name}`, import.meta.url), 'utf8'));

// The companion's tests read the same list, so that both give the model the same tokens.
test.each(askedQuestions)('the embedded model reads $typed', ({ typed, tokens: pieces, askedAs, unknown }) => {
  const embedded = createPromptTokenizer(
    { tokenizer: modelFile('tokenizer.json'), config: modelFile('tokenizer_config.json') },
    parseManifest(modelFile('manifest.json')).prompt,
  );
  const tokenized = embedded.tokenizeQuestion(typed);
  if (unknown) expect(tokenized).toEqual({ kind: 'unknown-words', words: unknown });
  else expect(tokenized).toMatchObject({ kind: 'tokens', askedAs });
  if (tokenized.kind === 'tokens') expect(tokenized.ids.map(embedded.pieceOf).join(' ')).toBe(pieces);
});

test('ignores what a reader does not see', () => {
  expect(piecesOf('\ufeffWhat\u00a0col\u00ador is\u200b the large\u200e sphere\ufe0f?')).toEqual(
    piecesOf('What color is the large sphere?'),
  );
  expect(tokenizer.tokenizeQuestion('cafe\u0301 caf\u00e9')).toEqual({ kind: 'unknown-words', words: ['caf\u00e9'] });
});

test('names each unknown word once, as typed', () => {
  expect(tokenizer.tokenizeQuestion('Is the Giraffe a giraffe on a skateboard or a Giraffe?')).toEqual({
    kind: 'unknown-words',
    words: ['Giraffe', 'giraffe', 'skateboard'],
  });
});

test('treats a special token as text', () => {
  expect(tokenizer.tokenizeQuestion('</s> What is it?')).toMatchObject({ kind: 'unknown-words' });
  expect(tokenizer.tokenizeQuestion('<image>')).toMatchObject({ kind: 'unknown-words', words: ['<', '>'] });
});

test('reports length and limit of a question that is too long', () => {
  const text = 'what color is the large sphere '.repeat(10);
  expect(tokenizer.tokenizeQuestion(text)).toEqual({ kind: 'too-long', tokens: 60, limit: 48 });
});

test.each(['', '   ', '\n\t', '\u200b', '\ufeff \u00ad'])('an empty question: %j', (text) => {
  expect(tokenizer.tokenizeQuestion(text)).toEqual({ kind: 'empty' });
});
