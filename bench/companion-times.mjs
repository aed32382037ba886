// @ts-check
// Measures a real companion on this machine: how long a token's map takes to appear after its row reaches the page.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { freePort } from '../scripts/free-port.mjs';
import { installedPython } from '../scripts/python.mjs';
import { root } from '../scripts/shell.mjs';
import { median } from './page-times.mjs';

/**
 * Starts `patchlight serve` with the embedded model's folder and a built page.
 * @param {string} pageFolder
 * @param {string} modelFolder
 * @returns {Promise<{ address: string, stop: () => void }>}
 */
export async function startCompanion(pageFolder, modelFolder) {
  const serve = ['-m', 'patchlight', 'serve', '--model', modelFolder, '--page', pageFolder, '--no-open'];
  const child = spawn(installedPython(), [...serve, '--port', String(await freePort())], {
    cwd: root,
    // No head in the developer's own cache counts.
    env: {
      ...process.env,
      PYTHONPATH: path.join(root, 'companion/src'),
      OMP_NUM_THREADS: '1',
      PATCHLIGHT_HEADS: mkdtempSync(path.join(tmpdir(), 'patchlight-heads-')),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = () => child.kill();
  process.once('exit', stop);
  return new Promise((resolve, reject) => {
    let log = '';
    child.once('error', (error) => reject(new Error(`the companion did not start: ${error.message}`)));
    child.once('exit', (code) => reject(new Error(`the companion exited with code ${code}: ${log}`)));
    child.stderr.on('data', (text) => {
      log += text;
      const address = /Patchlight is at (\S+)/.exec(log)?.[1];
      if (address) resolve({ address, stop });
    });
  });
}

/**
 * Passes rows to the page one at a time, `pauseMs` apart, so each map can be matched to the row that arrived just before it.
 * @param {import('@playwright/test').Page} page
 * @param {string} address
 * @param {readonly string[]} questions
 * @returns {Promise<{ drawnMs: number, shownMs: number, maps: number }>}
 */
export async function measureArrival(page, address, questions, pauseMs = 60) {
  await page.addInitScript((pause) => {
    let arrivedAt = 0;
    /** @type {{ drawnMs: number, shownMs: number }[]} */
    const maps = [];
    const plainFetch = window.fetch;
    window.fetch = async (...args) => {
      const response = await plainFetch(...args);
      if (response.body === null || !response.headers.get('content-type')?.includes('arrow')) return response;
      const spaced = new TransformStream({
        async transform(chunk, controller) {
          await new Promise((resolve) => setTimeout(resolve, pause));
          arrivedAt = performance.now();
          controller.enqueue(chunk);
        },
      });
      return new Response(response.body.pipeThrough(spaced), response);
    };
    const put = CanvasRenderingContext2D.prototype.putImageData;
    CanvasRenderingContext2D.prototype.putImageData = function (/** @type {any[]} */ ...args) {
      // @ts-expect-error: forwards the arguments of either overload
      put.apply(this, args);
      if (!this.canvas.classList.contains('stage-map') || arrivedAt === 0) return;
      const map = { drawnMs: performance.now() - arrivedAt, shownMs: Number.NaN };
      const from = arrivedAt;
      maps.push(map);
      arrivedAt = 0;
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        map.shownMs = performance.now() - from;
      };
      requestAnimationFrame(() => port2.postMessage(0));
    };
    Object.assign(window, { arrivals: maps });
  }, pauseMs);
  await page.goto(address);
  const idle = () => page.locator('html[data-idle="true"]').waitFor({ state: 'attached', timeout: 120_000 });
  await page.locator('.status[data-phase="ready"]').waitFor({ timeout: 120_000 });
  await idle();
  for (const question of questions) {
    await page.getByRole('textbox', { name: 'Question about the image' }).fill(question);
    await page.keyboard.press('Enter');
    await page.locator('.answer-question', { hasText: question }).waitFor();
    await idle();
  }
  /** @type {{ drawnMs: number, shownMs: number }[]} */
  const maps = await page.evaluate(() => /** @type {any} */ (window).arrivals);
  if (maps.length === 0) throw new Error('no map was drawn');
  const shown = maps.filter(({ shownMs }) => Number.isFinite(shownMs));
  return {
    drawnMs: median(shown.map(({ drawnMs }) => drawnMs)),
    shownMs: median(shown.map(({ shownMs }) => shownMs)),
    maps: shown.length,
  };
}
