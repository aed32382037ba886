import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from './page';

export const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export type Size = keyof typeof sizes;
export type Scheme = 'light' | 'dark';

export const looks: readonly (readonly [Size, Scheme])[] = [
  ['desktop', 'light'],
  ['desktop', 'dark'],
  ['phone', 'dark'],
  ['phone', 'light'],
];

/** Sets the viewport size and the colour scheme of the open page. */
export async function setLook(page: Page, size: Size, colorScheme: Scheme): Promise<void> {
  await page.setViewportSize(sizes[size]);
  await page.emulateMedia({ colorScheme });
}

interface AxeOptions {
  /** If undefined, the complete page is checked. */
  readonly region?: string | undefined;
  /** Applies only axe's colour rules. */
  readonly isColorOnly?: boolean;
}

/** Returns axe's violations. */
export async function axeViolations(page: Page, { region, isColorOnly = false }: AxeOptions = {}): Promise<string[]> {
  const builder = new AxeBuilder({ page });
  if (region !== undefined) builder.include(region);
  if (isColorOnly) builder.withTags('cat.color');
  const { violations } = await builder.analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

/** Checks accessibility at every size and in both colour schemes, and that the page fits the narrowest phone. */
export async function expectAccessible(page: Page, region?: string): Promise<void> {
  for (const [size, colorScheme] of looks) {
    await test.step(`axe: ${size}, ${colorScheme}`, async () => {
      await setLook(page, size, colorScheme);
      const isColorOnly = colorScheme === 'dark';
      expect.soft(await axeViolations(page, { region, isColorOnly }), `${size}, ${colorScheme}`).toEqual([]);
    });
  }
  await test.step('no horizontal scrolling at 320 px', async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    // Charts adopt their new width over the next few frames.
    const overflowPx = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    await expect.soft.poll(overflowPx, 'horizontal scrolling at 320 px').toBeLessThanOrEqual(0);
  });
}
