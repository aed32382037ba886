import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { exampleHead, exampleHeader } from '../../contract/run.example';
import { HeadWarning } from './head-warning';

const trainedOn = { name: 'other/model', revision: 'r9' };

describe('the warning about a head', () => {
  it('names the model that the head was trained on', () => {
    const header = { ...exampleHeader, head: { ...exampleHead, trainedOn, match: 'other' as const } };
    expect(renderToStaticMarkup(<HeadWarning header={header} />)).toContain('Head trained on other/model (r9), not on');
  });

  it('is empty for the model’s own head', () => {
    const header = { ...exampleHeader, head: { ...exampleHead, trainedOn, match: 'same' as const } };
    expect(renderToStaticMarkup(<HeadWarning header={header} />)).toBe('');
  });
});
