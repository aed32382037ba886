// WebKit by WebDriver: WebKitGTK's test browser on a display of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect } from '@playwright/test';
import { Builder, By, Capabilities, Key, type WebDriver } from 'selenium-webdriver';
import type { Engines } from '../../scripts/engines.mjs';
import { freePort } from '../../scripts/free-port.mjs';
import { type EnginePage, size } from './engine-page';

export async function openWebKit(programs: NonNullable<Engines['webkit']>): Promise<EnginePage> {
  // Files are saved in the home folder.
  const home = mkdtempSync(path.join(os.tmpdir(), 'patchlight-webkit-'));
  const display = spawn(programs.display, ['-displayfd', '3', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const number = await firstLine(display);
  const port = await freePort();
  const server = spawn(programs.driver, [`--port=${port}`], {
    env: { ...process.env, HOME: home, DISPLAY: `:${number}` },
    stdio: 'ignore',
  });
  const driver = await connect(port, programs.browser);
  await setViewport(driver);
  return {
    name: `WebKitGTK ${(await driver.getCapabilities()).get('browserVersion')}`,
    downloads: home,
    goto: (url) => driver.get(url),
    reload: () => driver.navigate().refresh(),
    call: (fn, ...inputs) => driver.executeScript(`return (${fn}).apply(undefined, arguments)`, ...inputs),
    click: (selector) => driver.findElement(By.css(selector)).click(),
    type: async (text) => driver.actions().sendKeys(text).perform(),
    press: async () => driver.actions().sendKeys(Key.ENTER).perform(),
    drag: (from, to) => driver.actions().move(from).press().move(to).release().perform(),
    choose: (selector, file) => driver.findElement(By.css(selector)).sendKeys(file),
    screenshot: async (file) => writeFileSync(file, Buffer.from(await driver.takeScreenshot(), 'base64')),
    async close() {
      await driver.quit();
      server.kill();
      display.kill();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Leaves the pipe open: Xvfb ends if it is closed. */
async function firstLine({ stdio }: ChildProcess): Promise<string> {
  const lines = createInterface(stdio[3] as Readable);
  const [line] = await once(lines, 'line');
  return line;
}

async function connect(port: number, browser: string): Promise<WebDriver> {
  await expect.poll(() => isListening(port), 'WebKitWebDriver listens').toBe(true);
  const options = { binary: browser, args: ['--automation'] };
  return new Builder()
    .usingServer(`http://127.0.0.1:${port}`)
    .withCapabilities(new Capabilities({ browserName: 'MiniBrowser', 'webkitgtk:browserOptions': options }))
    .build();
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** The window is larger than the page by its toolbar. */
async function setViewport(driver: WebDriver): Promise<void> {
  const window = driver.manage().window();
  await window.setRect(size);
  const [width, height] = await driver.executeScript<[number, number]>('return [innerWidth, innerHeight]');
  await window.setRect({ width: 2 * size.width - width, height: 2 * size.height - height });
}
