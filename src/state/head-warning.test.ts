import { describe, expect, it } from 'vitest';
import { exampleHead, exampleHeader } from '../contract/run.example';
import { headWarning } from './head-warning';

const trainedOn = { name: 'other/model', revision: 'r9' };

describe('the warning next to the maps of a head', () => {
  it('names both models if the head was trained on another', () => {
    const warning = headWarning({ ...exampleHeader, head: { ...exampleHead, trainedOn, match: 'other' } });
    expect(warning).toBe('Head trained on other/model (r9), not on m (r1): its maps are meaningless.');
  });

  it('says that the weights are not verified if nothing can be compared', () => {
    const warning = headWarning({ ...exampleHeader, head: { ...exampleHead, trainedOn, match: 'unverified' } });
    expect(warning).toBe('Head trained on other/model (r9); not verified that m (r1) has the same weights.');
  });

  it('is absent without a head, for the model’s own head, and for runs that do not say', () => {
    expect(headWarning(exampleHeader)).toBeUndefined();
    expect(headWarning({ ...exampleHeader, head: { ...exampleHead, trainedOn, match: 'same' } })).toBeUndefined();
    expect(headWarning({ ...exampleHeader, head: exampleHead })).toBeUndefined();
  });
});
