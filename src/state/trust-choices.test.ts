import { beforeEach, describe, expect, it } from 'vitest';
import { toggledNames, useTrustChoices } from './trust-choices';

const choices = () => useTrustChoices.getState();

describe('trust choices', () => {
  beforeEach(() => useTrustChoices.setState(useTrustChoices.getInitialState()));

  it('hold one choice per chart, which can be cleared', () => {
    choices().brush('entropy', { range: [1, 2] });
    choices().brush('length', { range: [3, 4] });
    choices().brush('entropy', { range: [1, 3] });
    expect(choices().brushes).toEqual({ entropy: { range: [1, 3] }, length: { range: [3, 4] } });
    choices().brush('length', undefined);
    expect(choices().brushes).toEqual({ entropy: { range: [1, 3] } });
  });

  it('show all answers again once the last brush is cleared', () => {
    choices().brush('entropy', { range: [1, 2] });
    choices().setSubset({ of: 'brushed' });
    choices().brush('entropy', { range: [1, 3] });
    expect(choices().subset).toEqual({ of: 'brushed' });
    choices().brush('entropy', undefined);
    expect(choices().subset).toEqual({ of: 'all' });
  });

  it('clear the entropy brush when another entropy is chosen', () => {
    choices().brush('entropy', { range: [4, 5] });
    choices().brush('length', { range: [3, 4] });
    choices().setEntropy({ kind: 'bernoulli', pooling: 'mean' });
    expect(choices().brushes).toEqual({ length: { range: [3, 4] } });
  });

  it('keep the chosen dataset when brushes are cleared', () => {
    choices().setSubset({ of: 'set', name: 'vqa-like' });
    choices().brush('entropy', { range: [1, 2] });
    choices().clearBrushes();
    expect(choices().subset).toEqual({ of: 'set', name: 'vqa-like' });
  });

  it('reset what depends on the table, but not how charts are drawn', () => {
    choices().setBins(80);
    choices().setEntropy({ kind: 'kde', pooling: 'max' });
    choices().setSearch('cube');
    choices().startOver();
    expect(choices()).toMatchObject({ bins: 80, entropy: undefined, search: '' });
  });

  it('toggle names; no names means no choice', () => {
    const one = toggledNames(undefined, 'count');
    expect(one).toEqual({ names: ['count'] });
    expect(toggledNames(one, 'color')).toEqual({ names: ['count', 'color'] });
    expect(toggledNames(one, 'count')).toBeUndefined();
    expect(toggledNames({ range: [1, 2] }, 'count')).toEqual({ names: ['count'] });
  });
});
