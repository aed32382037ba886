import type { AblationReport, AblationRow } from './ablation-report';

const row = (label: string, at: number, more: Partial<AblationRow> = {}): AblationRow => ({
  label,
  isPaper: false,
  tokens: 4000,
  steps: 3500,
  threshold: 0.4,
  f1: [at, at - 0.02, at + 0.03],
  spearman: [at + 0.1, at + 0.08, at + 0.12],
  pointing: [at - 0.2, at - 0.3, at - 0.1],
  area: [0.8, 0.78, 0.83],
  areaOverRandom: [-0.05, -0.07, -0.02],
  areaOverChefer: [0.01, -0.01, 0.03],
  ...more,
});

/** A report with made-up numbers, for tests and the gallery. */
export const exampleAblations: AblationReport = {
  title: 'Made-up ablations',
  command: 'make ablations',
  measuredOn: '2026-01-01',
  ablations: [
    {
      name: 'labelling threshold',
      rows: [row('0.1', 0.4), row('0.3', 0.57, { isPaper: true }), row('0.5', 0.5, { pointing: null })],
    },
    { name: 'loss', rows: [row('bce', 0.57, { isPaper: true }), row('bce+kl, bce × 3', 0.55)] },
  ],
};
