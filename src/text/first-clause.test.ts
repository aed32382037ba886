import { expect, it } from 'vitest';
import { firstClause } from './first-clause';

it.each([
  ['Trained on scenes of spheres: it answers what and where. It knows nothing else.', 'Trained on scenes of spheres.'],
  ['Version 1.5 of LLaVA, e.g. for photographs. Ask anything.', 'Version 1.5 of LLaVA, e.g. for photographs.'],
  ['A general model', 'A general model.'],
  ['A general model.', 'A general model.'],
  ['', ''],
])('cuts %j to %j', (text, clause) => {
  expect(firstClause(text)).toBe(clause);
});
