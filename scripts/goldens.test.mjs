// @ts-check
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { comparedGoldens, folder } from './goldens.mjs';

it('finds the compared goldens in the nested steps of a report', () => {
  const step = (/** @type {string} */ title, /** @type {any[]} */ ...steps) => ({ title, steps });
  const spec = (/** @type {any[]} */ ...steps) => ({ tests: [{ results: [{ status: 'passed', steps }] }] });
  const report = {
    suites: [
      {
        specs: [spec(step('trust-desktop-light.png'), step('axe: phone, dark'))],
        suites: [{ specs: [spec(step('the comparison', step('strip-phone-light.png')))] }],
      },
    ],
  };
  expect(comparedGoldens(report)).toEqual(['trust-desktop-light.png', 'strip-phone-light.png']);
});

it('keeps the goldens within 4 MB', () => {
  const bytes = readdirSync(folder).map((file) => statSync(path.join(folder, file)).size);
  expect(bytes.length).toBeGreaterThan(0);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4_000_000);
});
