import path from 'node:path';
import { type Browser, launch } from 'puppeteer-core';
import { isHeadlessShell } from '../../scripts/browser.mjs';
import { browserArguments } from '../browser-arguments';
import { type EnginePage, size } from './engine-page';

/** Firefox saves files without asking. */
const firefoxPreferences = (downloads: string) => ({
  'browser.download.folderList': 2,
  'browser.download.dir': downloads,
  'browser.download.always_ask_before_handling_new_types': false,
});

export async function openChromium(executablePath: string, downloads: string): Promise<EnginePage> {
  const browser = await launch({
    executablePath,
    headless: isHeadlessShell(executablePath) ? 'shell' : true,
    args: browserArguments,
    downloadBehavior: { policy: 'allow', downloadPath: downloads },
  });
  return openPage(browser, downloads);
}

export async function openFirefox(executablePath: string, downloads: string): Promise<EnginePage> {
  const browser = await launch({
    browser: 'firefox',
    executablePath,
    extraPrefsFirefox: firefoxPreferences(downloads),
    // As root, Firefox refuses to start in another user's home folder, such as that of a CI container.
    env: { ...process.env, HOME: path.join(downloads, 'home') },
  });
  return openPage(browser, downloads);
}

async function openPage(browser: Browser, downloads: string): Promise<EnginePage> {
  const page = await browser.newPage();
  await page.setViewport(size);
  return {
    name: await browser.version(),
    downloads,
    goto: async (url) => void (await page.goto(url)),
    reload: async () => void (await page.reload()),
    call: (fn, ...inputs) => page.evaluate(fn as unknown as (...all: unknown[]) => never, ...inputs),
    click: (selector) => page.click(selector),
    type: (text) => page.keyboard.type(text),
    press: (key) => page.keyboard.press(key),
    async drag(from, to) {
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(to.x, to.y, { steps: 4 });
      await page.mouse.up();
    },
    async choose(selector, file) {
      const input = await page.$(selector);
      if (input === null) throw new Error(`no ${selector}`);
      await (input as unknown as { uploadFile(...files: string[]): Promise<void> }).uploadFile(file);
    },
    screenshot: async (file) => void (await page.screenshot({ path: file as `${string}.png` })),
    close: () => browser.close(),
  };
}
