// @ts-check
import { expect, it } from 'vitest';
import { chooseSteps, slotsOf, steps, workersOf } from './steps.mjs';

const namesOf = (/** @type {readonly { name: string }[]} */ list) => list.map(({ name }) => name);

it('chooses all steps if none is named', () => {
  expect(chooseSteps([])).toBe(steps);
});

it('chooses a step with its dependencies, in list order', () => {
  const step = (/** @type {string} */ name, /** @type {string[]} */ ...after) => ({
    name,
    needs: [],
    after,
    run: async () => {},
  });
  const all = [step('build'), step('lint'), step('bundle', 'build'), step('budget', 'bundle')];
  expect(namesOf(chooseSteps(['budget'], all))).toEqual(['build', 'bundle', 'budget']);
  expect(namesOf(chooseSteps(['lint', 'build'], all))).toEqual(['build', 'lint']);
});

it('lists the steps if the name is unknown', () => {
  expect(() => chooseSteps(['lint', 'tsc'])).toThrow(/unknown step lint; the steps are .*tsc/);
});

it('has unique names, and dependencies before their dependents', () => {
  const names = namesOf(steps);
  expect(new Set(names).size).toBe(names.length);
  for (const [i, { after = [] }] of steps.entries())
    for (const name of after) expect(names.slice(0, i)).toContain(name);
});

it('gives a step its share of the slots, at least one', () => {
  const step = { name: 'a', needs: [], run: async () => {} };
  expect([1, 2, 3, 8].map((jobs) => slotsOf(step, jobs))).toEqual([1, 1, 1, 1]);
  expect([1, 2, 3, 8].map((jobs) => slotsOf({ ...step, share: 'half' }, jobs))).toEqual([1, 1, 2, 4]);
  expect([1, 2, 3, 8].map((jobs) => workersOf({ ...step, share: 'half' }, jobs))).toEqual([1, 1, 2, 4]);
  expect([1, 2, 3, 8].map((jobs) => workersOf({ ...step, share: 'half', waits: true }, jobs))).toEqual([1, 2, 3, 8]);
});
