import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createTokenActivations, type TokenActivationInput } from './token-activation';

// Computed by companion/tests/makers/activation_fixture.py with NumPy in float64.
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
  unembedding: new Map(fixture.unembedding.map((row, id) => [id, Float32Array.from(row)])),
};

/** Opens the input and appends the answer's tokens, with rows from the input or, if it lacks them, from the fixture. */
function answered(given: TokenActivationInput = input, tokens = fixture.answerIds.length) {
  const activations = createTokenActivations(given);
  const d = fixture.hiddenSize;
  for (const [t, id] of fixture.answerIds.slice(0, tokens).entries()) {
    const queryState = Float32Array.from(fixture.queryStates.slice(t * d, (t + 1) * d));
    activations.append({ id, queryState, row: given.unembedding.get(id) ?? input.unembedding.get(id)! });
  }
  return activations;
}

const tokenActivationMap = (given: TokenActivationInput, t: number) => answered(given).mapOf(t);

const largestDifference = (actual: Float32Array, expected: readonly number[]) => {
  expect(actual).toHaveLength(expected.length);
  return Math.max(0, ...expected.map((value, i) => Math.abs(value - actual[i]!)));
};

describe('token activation maps', () => {
  it('match the reference implementation in NumPy', () => {
    const activations = answered();
    for (const [t, expected] of fixture.maps.entries()) {
      const actual = activations.mapOf(t);
      // Both compute in float64 and round to float32, which is accurate to 6e-8 in 0..1.
      for (const part of ['values', 'prompt', 'answer'] as const) {
        expect(largestDifference(actual[part], expected[part])).toBeLessThan(1e-7);
      }
    }
  });

  it('do not depend on which tokens were requested before', () => {
    const activations = answered();
    for (const t of [3, 1, 4]) expect(activations.mapOf(t)).toEqual(tokenActivationMap(input, t));
  });

  it('do not depend on the tokens that follow', () => {
    for (const t of fixture.answerIds.keys()) {
      expect(answered(input, t + 1).mapOf(t)).toEqual(tokenActivationMap(input, t));
    }
  });

  it('do not subtract the maps of text tokens with the same id', () => {
    // Two prompt tokens have the same id as token 1. With a different id, their maps are subtracted, so the map changes.
    const other = { ...input, promptIds: input.promptIds.map((id) => (id === 3 ? 0 : id)) };
    expect(tokenActivationMap(other, 1).values).not.toEqual(tokenActivationMap(input, 1).values);
  });

  it('are 0 if no patch and no text token activates the token', () => {
    const silent = { ...input, unembedding: new Map(fixture.unembedding.map((_, id) => [id, new Float32Array(10)])) };
    const { values, prompt, answer } = tokenActivationMap(silent, 2);
    expect([...values, ...prompt, ...answer].every((value) => value === 0)).toBe(true);
  });

  it('are rejected with the missing row or the wrong shape', () => {
    const without = { ...input, unembedding: new Map() };
    expect(() => tokenActivationMap(without, 0)).toThrow(/the lm_head row of token id \d+ is missing/);
    expect(() => createTokenActivations({ ...input, grids: [{ rows: 5, cols: 5 }] })).toThrow(
      'patch states: expected 25 x 10 values, got 270',
    );
    const token = { id: 1, queryState: new Float32Array(3), row: new Float32Array(10) };
    expect(() => createTokenActivations(input).append(token)).toThrow('query state: expected 10 values, got 3');
    expect(() => answered().mapOf(5)).toThrow('token 5 is out of range: the answer has 5 tokens');
  });
});
