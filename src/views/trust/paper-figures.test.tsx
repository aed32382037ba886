import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { exampleAblations } from '../../contract/ablation-report.example';
import type { HeadReport } from '../../contract/head-report';
import { AblationDrawing, ablationTable } from './ablation-chart';
import { Ablations } from './ablations';
import { HeadCurve } from './head-curve';
import { SpreadDrawing } from './score-spread-chart';
import { TableOne } from './table-one';

const [thresholds, losses] = exampleAblations.ablations;

const count = (text: string, part: string) => text.split(part).length - 1;

describe('the ablations', () => {
  const page = renderToStaticMarkup(<Ablations report={exampleAblations} model="a model" />);

  it('have a chart for each option, with its table and downloads, under a heading of their own', () => {
    expect(page).toContain('heads for a model');
    expect(page).toMatch(/<h4[^>]*>Labelling threshold<\/h4>/);
    expect(page).toMatch(/<h4[^>]*>Loss<\/h4>/);
    expect(count(page, 'aria-label="Labelling threshold as a table"')).toBe(1);
    expect(count(page, 'aria-label="Save Loss"')).toBe(1);
  });

  it('say the scores of the paper’s recipe with their intervals', () => {
    expect(page).toContain(
      'The paper’s: 0.3. F1 0.57 (0.55–0.60) · Spearman 0.67 (0.65–0.69) · pointing 0.37 (0.27–0.47).',
    );
  });

  it('draw a point and an interval for each score that is known, and mark the paper’s value', () => {
    const drawing = renderToStaticMarkup(<AblationDrawing ablation={thresholds!} widthPx={346} />);
    // Three rows, one without pointing; one more point of each measure in the key.
    expect(count(drawing, 'class="ablation-point"')).toBe(3 + 3 + 2 + 3);
    const [f1, , pointing] = [...drawing.matchAll(/class="ablation-interval" d="([^"]*)"/g)].map(([, d]) => d!);
    expect(count(f1!, 'V')).toBe(3);
    expect(count(pointing!, 'V')).toBe(2);
    expect(drawing).toContain('paper’s');
    // Values stand in the middle of three equal columns between the margins of 34 and 12.
    expect(drawing).toContain('x="84"');
    expect(drawing).toContain('x="184"');
  });

  it('break long names of values at their comma', () => {
    const drawing = renderToStaticMarkup(<AblationDrawing ablation={losses!} widthPx={346} />);
    expect(drawing).toMatch(/>bce\+kl<\/tspan><tspan[^>]*>bce × 3<\/tspan>/);
  });

  it('have all numbers in the table, with empty cells for what is unknown', () => {
    const { columns, rows } = ablationTable(thresholds!);
    expect(columns.slice(0, 8)).toEqual([
      'labelling threshold',
      'paper’s recipe',
      'tokens',
      'steps',
      'classification threshold',
      'F1',
      'F1: low',
      'F1: high',
    ]);
    expect(rows[1]!.slice(0, 6)).toEqual(['0.3', 'yes', 4000, 3500, 0.4, 0.57]);
    expect(rows[2]![columns.indexOf('pointing game')]).toBeNaN();
    expect(rows.every((row) => row.length === columns.length)).toBe(true);
  });
});

describe('the head’s curve', () => {
  const column = [0.5, 0.6];
  const report: HeadReport = {
    title: 'A head',
    command: 'make head',
    measuredOn: '2026-01-01',
    figures: [],
    curve: { threshold: [0, 1], accuracy: column, precision: column, recall: column, f1: column },
  };
  const noteOf = (curve: HeadReport['curve']) =>
    renderToStaticMarkup(<HeadCurve report={{ ...report, curve }} model="m" own={0.4} />);

  it('says that it has intervals if the report has them', () => {
    const interval = { low: [0.4, null], high: [0.6, null] };
    expect(noteOf({ ...report.curve, intervals: { accuracy: interval, f1: interval } })).toContain('95 % intervals');
    expect(noteOf(report.curve)).not.toContain('95 %');
  });
});

describe('the spread of scores', () => {
  it('is drawn with an interval for each bin of each maker', () => {
    const shares = {
      FastRM: [
        [0.9, 0.85, 0.95],
        [0.1, 0.05, 0.15],
      ] as [number, number, number][],
      'exact Chefer': [
        [0.99, 0.98, 1],
        [0.01, 0, 0.02],
      ] as [number, number, number][],
    };
    const spread = { edges: [0, 0.5, 1], patches: 1000, shares };
    const drawing = renderToStaticMarkup(<SpreadDrawing spread={spread} widthPx={454} />);
    const paths = [...drawing.matchAll(/class="spread-interval" d="([^"]*)"/g)].map(([, d]) => d!);
    expect(paths.map((path) => count(path, 'V'))).toEqual([2, 2]);
    expect(drawing).toContain('exact Chefer');
    expect(drawing).toContain('1k');
  });
});

describe('Table 1', () => {
  const column = [0.5, 0.5];
  const bare: HeadReport = {
    title: 'A head',
    command: 'make head',
    measuredOn: '2026-01-01',
    figures: [
      { label: 'classification threshold', value: 0.3 },
      { label: 'accuracy at 0.5', value: 0.9333, interval: [0.9288, 0.938] },
      { label: 'F1 at 0.5', value: 0.4911, interval: [0.4708, 0.5126] },
      { label: 'F1 at the threshold', value: 0.5704 },
    ],
    curve: { threshold: [0, 1], accuracy: column, precision: column, recall: column, f1: column },
  };
  const textOf = (report: HeadReport) =>
    renderToStaticMarkup(<TableOne report={report} model="m" />)
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ');

  it('shows intervals, and no rows for sets that were not measured', () => {
    const text = textOf(bare);
    expect(text).toContain('FastRM on m 0.933 (0.929–0.938) 0.49 (0.47–0.51) held-out answers');
    expect(text).toContain('same, at threshold 0.3 – 0.57 held-out answers');
    expect(text).not.toContain('-like');
  });

  it('shows the sets at both thresholds', () => {
    const of = (label: string, value: number) => ({
      label,
      value,
      interval: [value - 0.01, value + 0.01] as [number, number],
    });
    const text = textOf({
      ...bare,
      figures: [
        ...bare.figures,
        of('accuracy at 0.5, gqa-like', 0.95),
        of('F1 at 0.5, gqa-like', 0.6),
        of('accuracy at the threshold, gqa-like', 0.94),
        of('F1 at the threshold, gqa-like', 0.65),
      ],
    });
    expect(text).toContain('FastRM on m 0.950 (0.940–0.960) 0.60 (0.59–0.61) GQA-like: relations');
    expect(text).toContain('same, at threshold 0.3 0.940 (0.930–0.950) 0.65 (0.64–0.66) GQA-like: relations');
    expect(text).not.toContain('VQA-like');
  });
});
