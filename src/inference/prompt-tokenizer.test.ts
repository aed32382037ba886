import { expect, test } from 'vitest';
import { exampleManifest } from '../contract/manifest.example';
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
  expect(tokenized).toEqual({ kind: 'tokens', ids: [tokenizerJson.model.vocab.Can] });
});

test('a word whose token was never trained is unknown, unless another case was', () => {
  const prompt = { ...exampleManifest().prompt, neverSeen: ['what', 'colour', 'Where', 'where'] };
  const { tokenizeQuestion, pieceOf } = createPromptTokenizer(files, prompt);
  const tokenized = tokenizeQuestion('what color is it');
  expect(tokenized.kind === 'tokens' && tokenized.ids.map(pieceOf)).toEqual(['What', 'color', 'is', 'it']);
  expect(tokenizeQuestion('what colour is it')).toEqual({ kind: 'unknown-words', words: ['colour'] });
  expect(tokenizeQuestion('Where is it?')).toEqual({ kind: 'unknown-words', words: ['Where'] });
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

test.each(['', '   ', '\n\t'])('an empty question: %j', (text) => {
  expect(tokenizer.tokenizeQuestion(text)).toEqual({ kind: 'empty' });
});
