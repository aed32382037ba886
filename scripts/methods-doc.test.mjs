// @ts-check
import { describe, expect, it } from 'vitest';
import { renderMethods } from './methods-doc.mjs';

const ids = 'fastrm chefer chefer-incremental gradcam feature-gradcam dex-ar tam rollout attention random'.split(' ');

/** @template T @param {T} value */
const forEach = (value) => Object.fromEntries(ids.map((id) => [id, value]));

const estimate = [0.512, 0.4, 0.623];
const figures = { pointing: estimate, iou: estimate, mass: estimate, spearman: estimate, top: estimate, f1: null };
const data = /** @type {any} */ ({
  command: 'python -m patchlight.measure.methods_report',
  measuredOn: '2026-01-01',
  model: 'scenes',
  modelRevision: 'abc',
  facts: { questions: 1024, scenes: 128, largestDifference: 0.0000042 },
  groups: {
    found: { words: 'words not in the question', tokens: 7, objectShare: 0.054, methods: forEach(figures) },
    repeated: { words: 'words repeated from the question', tokens: 9, objectShare: 0.05, methods: forEach(figures) },
  },
  costs: forEach({ msPerToken: 12.345, peakMegabytes: 56, forwardPerAnswer: 1, backwardPerAnswer: 4.25 }),
  emptyMaps: forEach(0.2),
  pointingBy: [{ group: 'found', label: 'color words', tokens: 3, methods: forEach(estimate) }],
  verdict: ['Raw attention is best.'],
});

describe('the tables of docs/methods.md', () => {
  const text = renderMethods(data);

  it('have a row per method in each group, with intervals, and a dash if nothing was scored', () => {
    expect(text).toContain('### Words not in the question\n\n7 tokens; the object covers 5.4 % of the patches.');
    expect(text.match(/^\| DEX-AR \| 0\.51 \(0\.40 to 0\.62\) \|.*\| – \|$/gm)).toHaveLength(2);
  });

  it('show costs, empty maps, the verdict and where methods fail', () => {
    expect(text).toContain('| TAM | 12.3 | 56.0 MB | 1.0 | 4.3 | 20.0 % |');
    expect(text).toContain('### Verdict\n\n- Raw attention is best.');
    expect(text).toContain('| color words | 3 | 0.51 (0.40 to 0.62) |');
    expect(text).toContain('at most 4.2e-6. Intervals');
  });

  it('show the intervals of shares, if the report has them', () => {
    const found = { ...data.groups.found, objectShareInterval: [0.05, 0.058] };
    const more = { groups: { ...data.groups, found }, emptyMapsIntervals: forEach([0.15, 0.26]) };
    const withMore = renderMethods({ ...data, ...more });
    expect(withMore).toContain('the object covers 5.4 % (5.0 to 5.8 %) of the patches.');
    expect(withMore).toContain('| 20.0 % (15.0 to 26.0 %) |');
  });
});
