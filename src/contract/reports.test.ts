import { describe, expect, it } from 'vitest';
import { parseAblationReport } from './ablation-report';
import { exampleAblations } from './ablation-report.example';
import { figureOf, parseHeadReport } from './head-report';

describe('the report on ablations', () => {
  it('is read as written', () => {
    expect(parseAblationReport(JSON.parse(JSON.stringify(exampleAblations)))).toEqual(exampleAblations);
  });

  it('is refused with the names of the fields that are wrong', () => {
    const [first] = exampleAblations.ablations;
    const broken = { ...first!.rows[0]!, f1: [0.5, 0.4] };
    const withBroken = { ...exampleAblations, ablations: [{ name: 'loss', rows: [broken] }] };
    expect(() => parseAblationReport(withBroken)).toThrow(
      /report on ablations is invalid.*ablations\[0\]\.rows\[0\]\.f1/s,
    );
    expect(() => parseAblationReport({ ...exampleAblations, ablations: [{ name: 'loss', rows: [] }] })).toThrow('rows');
  });
});

describe('the head’s report', () => {
  const column = [0.5, null];
  const plain = {
    title: 'A head',
    command: 'make head',
    measuredOn: '2026-01-01',
    figures: [
      { label: 'F1 at 0.5', value: 0.4, interval: [0.3, 0.5], goal: '>= 0.3' },
      { label: 'tokens', value: 9 },
    ],
    curve: { threshold: [0, 1], accuracy: column, precision: column, recall: column, f1: column },
  };

  it('has figures with and without intervals', () => {
    const report = parseHeadReport(plain);
    expect(figureOf(report, 'F1 at 0.5')).toEqual({ label: 'F1 at 0.5', value: 0.4, interval: [0.3, 0.5] });
    expect(figureOf(report, 'tokens')?.interval).toBeUndefined();
    expect(figureOf(report, 'recall')).toBeUndefined();
    expect(report.spread).toBeUndefined();
  });

  it('may have intervals of its curve and the spread of scores', () => {
    const interval = { low: [0.4, null], high: [0.6, null] };
    const spread = {
      edges: [0, 0.5, 1],
      patches: 576,
      shares: {
        FastRM: [
          [0.9, 0.8, 1],
          [0.1, 0, 0.2],
        ],
      },
    };
    const curve = { ...plain.curve, intervals: { accuracy: interval, f1: interval } };
    const report = parseHeadReport({ ...plain, curve, spread });
    expect(report.curve.intervals?.f1.high).toEqual([0.6, null]);
    expect(report.spread).toEqual(spread);
  });
});
