// @ts-check
import { describe, expect, it } from 'vitest';
import { isMet, parseReport, renderFigures, renderReadmeFigures, replaceSection } from './figures.mjs';

const report = {
  title: 'Answers',
  command: 'python -m patchlight.embedded.evaluate',
  figures: [
    { label: 'colour', value: 91.23456, unit: '%', goal: '>= 65' },
    { label: 'questions', value: 2400 },
  ],
};

const where = { file: 'README.md', name: 'figures' };

describe('the figures of README.md and docs/figures.md', () => {
  it('show each number with its unit, its goal and the command that measures it', () => {
    const text = renderFigures([report]);
    expect(text).toContain('`python -m patchlight.embedded.evaluate`');
    expect(text).toContain('| colour | 91.23 % | >= 65: met |');
    expect(text).toContain('| questions | 2400 |  |');
  });

  it('show the interval of a sampled figure', () => {
    /** @type {import('./figures.mjs').Figure[]} */
    const figures = [{ label: 'right', value: 0.8642, interval: [0.85, 0.87712] }];
    expect(renderFigures([{ ...report, figures }])).toContain('| right | 0.8642 (0.85 to 0.8771) |');
  });

  it('judge a goal by the worse end of the interval, or by the value if there is none', () => {
    const figure = { label: 'right', value: 0.58 };
    expect(isMet({ ...figure, goal: '>= 0.57' })).toBe(true);
    expect(isMet({ ...figure, interval: [0.57, 0.59], goal: '>= 0.57' })).toBe(true);
    expect(isMet({ ...figure, interval: [0.56, 0.6], goal: '>= 0.57' })).toBe(false);
    expect(isMet({ ...figure, interval: [0.56, 0.6], goal: '<= 0.6' })).toBe(true);
    expect(isMet({ ...figure, interval: [0.56, 0.61], goal: '<= 0.6' })).toBe(false);
    expect(isMet({ label: 'error', value: 2e-6, goal: '<= 1e-4' })).toBe(true);
    /** @type {import('./figures.mjs').Figure[]} */
    const figures = [{ ...figure, interval: [0.56, 0.6], goal: '>= 0.57' }];
    expect(renderFigures([{ ...report, figures }])).toContain('| right | 0.58 (0.56 to 0.6) | >= 0.57: missed |');
    for (const goal of ['≥ 0.5', '0.5', '>= half', '>= 65 %'])
      expect(() => isMet({ ...figure, goal })).toThrow('is not such as');
    expect(() => isMet({ label: 'right', value: 'yes', goal: '>= 1' })).toThrow('text');
  });

  it('fail if a report no longer has a figure that the README shows', () => {
    expect(() => renderReadmeFigures([report])).toThrow('no report has the figure');
  });

  it('show tables under the figures', () => {
    const table = { title: 'By set', columns: ['set', 'right'], rows: [['pope|like', 0.93412]] };
    const parsed = parseReport('a.json', { ...report, tables: [table] });
    const text = renderFigures(parsed ? [parsed] : []);
    expect(text).toContain('By set:\n\n| set | right |\n|---|---:|\n| pope\\|like | 0.9341 |');
    expect(() => parseReport('a.json', { ...report, tables: [{ ...table, rows: [['one cell']] }] })).toThrow('a.json');
  });

  it('replace only the text between the markers, and do nothing the second time', () => {
    const readme = 'before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n';
    const once = replaceSection(readme, 'new', where);
    expect(once).toBe('before\n<!-- figures: begin -->\nnew\n<!-- figures: end -->\nafter\n');
    expect(replaceSection(once, 'new', where)).toBe(once);
  });

  it('refuse a README without markers, and a figure without a value', () => {
    expect(() => replaceSection('nothing here', 'new', where)).toThrow('README.md is missing');
    expect(() => parseReport('a.json', { ...report, figures: [{ label: 'colour' }] })).toThrow('a.json');
  });

  it('skip data that is not a report', () => {
    expect(parseReport('curves.json', { loss: [1, 2] })).toBeUndefined();
  });
});
