// A model with several heads: the page's model is replaced by a small one with random weights
// (companion/tests/makers/heads_fixture.py), whose answers mean nothing, and the first example by a run of it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Locator, Page } from '@playwright/test';
import { ask, expect, idle, openPage, test } from './page';

// A context of its own: the model must not replace the usual one in the shared cache.
test.use({ isFresh: true });

const fixtures = path.resolve(import.meta.dirname, '../src/inference/fixtures');
const run = readFileSync(path.join(fixtures, 'several-heads.run'));
const address = '/?view=compare&methods=fastrm,fastrm-paper,fastrm-plus';

/** Returns the list of requested files of the model, which grows. */
async function serveSeveralHeads(page: Page): Promise<readonly string[]> {
  const requested: string[] = [];
  await page.context().route('**/models/patchlight-scenes/**', (route) => {
    const file = new URL(route.request().url()).pathname.split('/models/patchlight-scenes/')[1]!;
    requested.push(file);
    return route.fulfill({ path: path.join(fixtures, 'several-heads', file) });
  });
  await page.context().route('**/samples/run-1.run', (route) => route.fulfill({ body: run }));
  return requested;
}

const panel = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true });

test('recorded and live answers have maps by each head, and a head is loaded only if it is shown', async ({ page }) => {
  const requested = await serveSeveralHeads(page);
  await openPage(page, '/?view=compare&methods=fastrm');
  expect(requested.filter((file) => /fastrm-(paper|plus)/.test(file))).toEqual([]);
  await openPage(page, address);
  for (const [name, head] of Object.entries({ 'FastRM, paper’s recipe': 'paper', 'FastRM+': 'plus' })) {
    await expect(panel(page, name)).toContainText('4 tokens done');
    await expect(panel(page, name)).toContainText(`head random-weights-${head}`);
  }
  const peak = (name: string) => panel(page, name).locator('.panel-readout').innerText();
  // Both have the same weights; the recorded map is by PyTorch.
  expect(await peak('FastRM, paper’s recipe')).toBe(await peak('FastRM'));

  await ask(page, 'How many spheres are there?');
  for (const name of ['FastRM', 'FastRM, paper’s recipe', 'FastRM+']) {
    await expect(panel(page, name)).toContainText(/\d\d tokens done/);
  }
  expect(await peak('FastRM, paper’s recipe')).toBe(await peak('FastRM'));
});

test('an own answer keeps what the heads read, and their maps, across a reload', async ({ page }) => {
  await serveSeveralHeads(page);
  await openPage(page, '/?view=compare&methods=fastrm,fastrm-paper');
  await ask(page, 'How many spheres are there?');
  await expect(panel(page, 'FastRM, paper’s recipe')).toContainText(/\d\d tokens done/);
  await page.reload();
  await idle(page);
  await expect(panel(page, 'FastRM, paper’s recipe')).toContainText(/\d\d tokens done/);
  await page.getByRole('button', { name: 'Add method' }).click();
  await expect(panel(page, 'FastRM+')).toContainText(/\d\d tokens done/);
});
