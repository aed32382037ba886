import type { Locator, Page } from '@playwright/test';
import { type Scheme, type Size, setLook } from './looks';
import { expect, test } from './page';

/** Tests that compare goldens: `npm run goldens` runs these. */
export const withGoldens = { tag: '@goldens' };

interface ShotOptions {
  /** Only this part of the page. */
  readonly region?: Locator;
  /** All of the page, however far down it goes. */
  readonly isWhole?: boolean;
  /** `grey` unless the picture is the subject: photographs are most of a golden's size. */
  readonly pictures?: 'grey' | 'real';
}

/**
 * Compares the page in one size and colour scheme with its golden, which is named after all three. The test goes on
 * after a difference, so that it names every golden that differs. `npm run goldens` takes new ones.
 */
export async function shot(
  page: Page,
  view: string,
  [size, scheme]: readonly [Size, Scheme],
  { region, isWhole = false, pictures = 'grey' }: ShotOptions = {},
): Promise<void> {
  const name = `${view}-${size}-${scheme}.png`;
  await test.step(name, async () => {
    await setLook(page, size, scheme);
    await page.mouse.move(0, 0);
    await page.evaluate(prepare, pictures === 'grey');
    if (region === undefined) await expect.soft(page).toHaveScreenshot(name, { fullPage: isWhole });
    else await expect.soft(region).toHaveScreenshot(name);
  });
}

/** Measured times differ from run to run; so would the width of a mask over them. A chart of them is hidden. */
function prepare(isGrey: boolean): void {
  for (const element of document.querySelectorAll('[data-volatile]:not(:has(*))')) element.textContent = '0 ms';
  const sheet = new CSSStyleSheet();
  const grey = 'img { filter: contrast(0); } .thumbnail { background: grey !important; }';
  sheet.replaceSync(`[data-volatile]:has(*) { visibility: hidden; } ${isGrey ? grey : ''}`);
  document.adoptedStyleSheets = [sheet];
}
