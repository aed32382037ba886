// @ts-check
import { expect, it } from 'vitest';
import { chooseSteps, steps } from './steps.mjs';

const namesOf = (/** @type {readonly { name: string }[]} */ list) => list.map(({ name }) => name);

it('chooses all steps if none is named', () => {
  expect(chooseSteps([])).toBe(steps);
});

it('chooses a step together with those it comes after, in the order of the list', () => {
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

it('names the steps when there is none of that name', () => {
  expect(() => chooseSteps(['lint', 'tsc'])).toThrow(/no step is called lint; the steps are .*tsc/);
});

it('has no name twice, and everything that a step comes after before it', () => {
  const names = namesOf(steps);
  expect(new Set(names).size).toBe(names.length);
  for (const [i, { after = [] }] of steps.entries())
    for (const name of after) expect(names.slice(0, i)).toContain(name);
});
