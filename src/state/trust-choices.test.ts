import { beforeEach, describe, expect, it } from 'vitest';
import { toggledNames, useTrustChoices } from './trust-choices';

const choices = () => useTrustChoices.getState();

describe('what is chosen in the data set', () => {
  beforeEach(() => useTrustChoices.setState(useTrustChoices.getInitialState()));

  it('holds one choice a chart, and forgets it', () => {
    choices().brush('entropy', { range: [1, 2] });
    choices().brush('length', { range: [3, 4] });
    choices().brush('entropy', { range: [1, 3] });
    expect(choices().brushes).toEqual({ entropy: { range: [1, 3] }, length: { range: [3, 4] } });
    choices().brush('length', undefined);
    expect(choices().brushes).toEqual({ entropy: { range: [1, 3] } });
  });

  it('shows all answers again once the last brush is gone', () => {
    choices().brush('entropy', { range: [1, 2] });
    choices().setSubset({ of: 'brushed' });
    choices().brush('entropy', { range: [1, 3] });
    expect(choices().subset).toEqual({ of: 'brushed' });
    choices().brush('entropy', undefined);
    expect(choices().subset).toEqual({ of: 'all' });
  });

  it('forgets what was brushed of an entropy when another is looked at', () => {
    choices().brush('entropy', { range: [4, 5] });
    choices().brush('length', { range: [3, 4] });
    choices().setEntropy({ kind: 'bernoulli', pooling: 'mean' });
    expect(choices().brushes).toEqual({ length: { range: [3, 4] } });
  });

  it('keeps a chosen data set when brushes go', () => {
    choices().setSubset({ of: 'set', name: 'vqa-like' });
    choices().brush('entropy', { range: [1, 2] });
    choices().clearBrushes();
    expect(choices().subset).toEqual({ of: 'set', name: 'vqa-like' });
  });

  it('forgets what was of one table with the table, but not how charts are drawn', () => {
    choices().setBins(80);
    choices().setEntropy({ kind: 'kde', pooling: 'max' });
    choices().setSearch('cube');
    choices().startOver();
    expect(choices()).toMatchObject({ bins: 80, entropy: undefined, search: '' });
  });

  it('toggles names, and none is no choice', () => {
    const one = toggledNames(undefined, 'count');
    expect(one).toEqual({ names: ['count'] });
    expect(toggledNames(one, 'color')).toEqual({ names: ['count', 'color'] });
    expect(toggledNames(one, 'count')).toBeUndefined();
    expect(toggledNames({ range: [1, 2] }, 'count')).toEqual({ names: ['count'] });
  });
});
