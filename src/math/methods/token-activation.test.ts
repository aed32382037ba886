import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createTokenActivations, type TokenActivationInput } from './token-activation';

const tokenActivationMap = (input: TokenActivationInput, t: number) => createTokenActivations(input).mapOf(t);

// Written by companion/tests/makers/activation_fixture.py, from NumPy in float64.
const fixture: {
  readonly hiddenSize: number;
  readonly grids: readonly { readonly rows: number; readonly cols: number }[];
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  readonly patchStates: readonly number[];
  readonly promptStates: readonly number[];
  readonly queryStates: readonly number[];
  readonly unembedding: readonly (readonly number[])[];
  readonly maps: readonly Readonly<Record<'values' | 'prompt' | 'answer', readonly number[]>>[];
} = JSON.parse(readFileSync(new URL('./fixtures/token-activation.json', import.meta.url), 'utf8'));

const input: TokenActivationInput = {
  ...fixture,
  patchStates: Float32Array.from(fixture.patchStates),
  promptStates: Float32Array.from(fixture.promptStates),
  queryStates: Float32Array.from(fixture.queryStates),
  unembedding: new Map(fixture.unembedding.map((row, id) => [id, Float32Array.from(row)])),
};

const largestDifference = (found: Float32Array, wanted: readonly number[]) => {
  expect(found).toHaveLength(wanted.length);
  return Math.max(0, ...wanted.map((value, i) => Math.abs(value - found[i]!)));
};

describe('token activation maps', () => {
  it('are those of the plain form in NumPy', () => {
    const activations = createTokenActivations(input);
    for (const [t, wanted] of fixture.maps.entries()) {
      const found = activations.mapOf(t);
      // Both compute in float64 and end in float32, which holds 0..1 to 6e-8.
      for (const part of ['values', 'prompt', 'answer'] as const) {
        expect(largestDifference(found[part], wanted[part])).toBeLessThan(1e-7);
      }
    }
  });

  it('do not depend on which tokens were asked for before', () => {
    const last = createTokenActivations(input);
    for (const t of [3, 1, 4]) expect(last.mapOf(t)).toEqual(tokenActivationMap(input, t));
  });

  it('leave out what a token of the same string accounts for', () => {
    // Token 1 says what two of the prompt's tokens say: another id in their place takes part of the map away.
    const other = { ...input, promptIds: input.promptIds.map((id) => (id === 3 ? 0 : id)) };
    expect(tokenActivationMap(other, 1).values).not.toEqual(tokenActivationMap(input, 1).values);
  });

  it('are nothing where no patch and no word says the token', () => {
    const silent = { ...input, unembedding: new Map(fixture.unembedding.map((_, id) => [id, new Float32Array(10)])) };
    const { values, prompt, answer } = tokenActivationMap(silent, 2);
    expect([...values, ...prompt, ...answer].every((value) => value === 0)).toBe(true);
  });

  it('say which row and which shape is missing', () => {
    const without = { ...input, unembedding: new Map([...input.unembedding].filter(([id]) => id !== 2)) };
    expect(() => tokenActivationMap(without, 0)).toThrow('the lm_head row of token id 2 is missing');
    expect(() => createTokenActivations({ ...input, grids: [{ rows: 5, cols: 5 }] })).toThrow(
      'patch states of 270 values, want 25 x 10',
    );
    expect(() => createTokenActivations(input).mapOf(5)).toThrow('the answer has 5 tokens, none at 5');
  });
});
