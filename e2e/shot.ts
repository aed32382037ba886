import type { Locator, Page } from '@playwright/test';
import { type Scheme, type Size, setLook } from './looks';
import { expect, test } from './page';

/** Tags tests that compare goldens; `npm run goldens` runs only these. */
export const withGoldens = { tag: '@goldens' };

interface ShotOptions {
  /** Captures only this part of the page. */
  readonly region?: Locator;
  /** Captures the full page instead of the viewport. */
  readonly isFullPage?: boolean;
  /** `grey` hides images, which make up most of a golden's file size; `real` is for tests of the images themselves. */
  readonly images?: 'grey' | 'real';
}

/**
 * Compares a view at one size and in one colour scheme with the golden named after all three. The test continues after
 * a difference, so it reports every golden that differs. `npm run goldens` retakes them.
 */
export async function shot(
  page: Page,
  view: string,
  [size, scheme]: readonly [Size, Scheme],
  { region, isFullPage = false, images = 'grey' }: ShotOptions = {},
): Promise<void> {
  const name = `${view}-${size}-${scheme}.png`;
  await test.step(name, async () => {
    await setLook(page, size, scheme);
    await page.mouse.move(0, 0);
    await page.evaluate(prepare, images === 'grey');
    if (region !== undefined) {
      await expect.soft(region).toHaveScreenshot(name);
      return;
    }
    await page.evaluate(() => window.scrollTo(0, 0));
    await expect.soft(page).toHaveScreenshot(name, { fullPage: isFullPage });
  });
}

/** Replaces measured times, which differ between runs, and hides charts of times. Masks would vary in width. */
function prepare(isGrey: boolean): void {
  for (const element of document.querySelectorAll('[data-volatile]:not(:has(*))')) element.textContent = '0 ms';
  const sheet = new CSSStyleSheet();
  const grey = 'img { filter: contrast(0); } .thumbnail { background: grey !important; }';
  sheet.replaceSync(`[data-volatile]:has(*) { visibility: hidden; } ${isGrey ? grey : ''}`);
  document.adoptedStyleSheets = [sheet];
}
