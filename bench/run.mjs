// @ts-check
// Benchmarks the built page and its workers in a real browser.
//   npm run bench                                          prints the figures
//   npm run bench -- --write                               also writes bench/report/*.json, the source of README's figures
//   npm run bench -- --only head --widths 4096 --rounds 3  measures the head at one width
//   npm run bench -- --only explain                        measures each method
//   npm run bench -- --only training                       measures a training step of a head
//   npm run bench -- --only page --public <folder>         measures the page with a different model and samples
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { build, preview } from 'vite';
import { ensureBrowser, isHeadlessShell } from '../scripts/browser.mjs';
import { renderGoal } from '../scripts/figures.mjs';
import { installedPython } from '../scripts/python.mjs';
import { root } from '../scripts/shell.mjs';
import { measureArrival, startCompanion } from './companion-times.mjs';
import { headFigures } from './head-figures.mjs';
import { measureAnswer, measureClick, measureLoad, median } from './page-times.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    widths: { type: 'string', default: '192,4096,5120' },
    rounds: { type: 'string', default: '7' },
    write: { type: 'boolean', default: false },
    public: { type: 'string', default: 'public' },
  },
});
const rounds = Number(options.rounds);
process.chdir(root);

/** LLaVA-1.5's number of patches, a short question, and the answer length used in the paper. */
const sizes = { patches: 576, textTokens: 64, answerTokens: 100 };
const questions = ['What color is the large sphere?', 'Describe the image.', 'How many cubes are there?'];

/** @typedef {import('../scripts/figures.mjs').Figure} Figure */
/** @typedef {{ title: string, command: string, measuredOn: string, figures: Figure[] }} Report */

// The companion starts last: a missing installation must not waste the measurements before it.
if (options.only === undefined || ['arrival', 'training'].includes(options.only)) installedPython();

const executablePath = await ensureBrowser('full');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const measuredOn = `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, ${isHeadlessShell(executablePath) ? 'headless shell of ' : ''}Chromium ${browser.version()}`;
console.log(measuredOn);

/** The benchmark page is built like the product, with the same sources, worker format and headers. */
const builds = {
  page: {
    configFile: 'vite.config.ts',
    publicDir: options.public,
    build: { outDir: path.join(root, '.cache/bench-page'), emptyOutDir: true },
  },
  head: {
    configFile: 'vite.config.ts',
    root: 'bench/page',
    publicDir: /** @type {const} */ (false),
    build: { outDir: path.join(root, '.cache/bench-dist'), emptyOutDir: true },
    plugins: [
      {
        name: 'graphs',
        closeBundle: () => cpSync('bench/graphs', '.cache/bench-dist/graphs', { recursive: true }),
      },
    ],
  },
  explain: {
    configFile: 'vite.config.ts',
    root: 'bench/page',
    publicDir: path.resolve(options.public),
    build: { outDir: path.join(root, '.cache/bench-explain'), emptyOutDir: true },
  },
};

/**
 * @template T
 * @param {import('vite').InlineConfig} config
 * @param {(url: string) => Promise<T>} use
 */
async function withServer(config, use) {
  await build({ ...config, logLevel: 'warn' });
  const server = await preview({ ...config, preview: { port: 0 } });
  try {
    return await use(server.resolvedUrls?.local[0] ?? '');
  } finally {
    await server.close();
  }
}

/** @param {string} url @returns {Promise<Report>} */
async function benchHead(url) {
  const page = await browser.newPage();
  page.on('pageerror', ({ message }) => console.error(message));
  await page.goto(url);
  /** @type {Figure[]} */
  const figures = [];
  for (const hiddenSize of (options.widths ?? '').split(',').map(Number)) {
    const times = await page.evaluate((job) => window.measureHead(job), { hiddenSize, ...sizes, rounds });
    figures.push(...headFigures(times, { hiddenSize, ...sizes }));
  }
  await page.close();
  const title = `FastRM head alone: random weights, ${sizes.patches} patches, ${sizes.textTokens} text tokens, ${sizes.answerTokens} answer tokens`;
  return { title, command: 'npm run bench -- --only head --write', measuredOn, figures };
}

/** @param {string} url @returns {Promise<Report>} */
async function benchPage(url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(300_000);
  const cold = await measureLoad(page, url);
  const warm = await measureLoad(page, url);
  const click = await measureClick(page);
  /** @type {import('./page-times.mjs').AnswerTimes[]} */
  const answers = [];
  for (let round = 0; round < Math.max(1, Math.ceil(rounds / 3)); round++)
    for (const question of questions) answers.push(await measureAnswer(page, question));
  await context.close();
  /** @param {(answer: import('./page-times.mjs').AnswerTimes) => number} pick */
  const medianOf = (pick) => median(answers.map(pick));
  return {
    title: 'The page with its embedded model',
    command: 'npm run bench -- --only page --write',
    measuredOn,
    figures: [
      { label: 'first paint, empty cache', value: cold.firstPaintMs, unit: 'ms' },
      { label: 'example on screen, empty cache', value: cold.exampleMs, unit: 'ms' },
      { label: 'model ready, empty cache (local server)', value: cold.readyMs, unit: 'ms' },
      { label: 'model ready, cached', value: warm.readyMs, unit: 'ms' },
      { label: 'first token after Enter, image already encoded', value: medianOf((a) => a.firstTokenMs), unit: 'ms' },
      { label: 'each further token, including its map', value: medianOf((a) => a.tokenMs), unit: 'ms' },
      { label: 'one map', value: medianOf((a) => a.mapMs), unit: 'ms' },
      { label: 'map drawn after a click on a token', value: click.drawnMs, unit: 'ms', goal: '<= 16' },
      { label: 'map on screen after a click on a token', value: click.shownMs, unit: 'ms' },
    ],
  };
}

/** @param {string} url @returns {Promise<Report>} */
async function benchExplain(url) {
  const page = await browser.newPage();
  page.on('pageerror', ({ message }) => console.error(message));
  await page.goto(url);
  const job = { modelUrl: 'models/patchlight-scenes/', runUrl: 'samples/run-3.run', rounds: Math.ceil(rounds / 2) };
  const { tokens, firstMapMs, fastrmMs, tokenMs } = await page.evaluate((value) => window.measureExplain(value), job);
  await page.close();
  return {
    title: `Explaining an answer of ${tokens} tokens in the page: time per token`,
    command: 'npm run bench -- --only explain --write',
    measuredOn,
    figures: [
      { label: 'first map, with only the model loaded', value: firstMapMs, unit: 'ms' },
      { label: 'fastrm', value: fastrmMs, unit: 'ms' },
      ...Object.entries(tokenMs).flatMap(([method, ms]) => [
        { label: method, value: ms, unit: 'ms' },
        { label: `${method} relative to fastrm`, value: ms / fastrmMs, unit: '×' },
      ]),
    ],
  };
}

/** @param {string} url @returns {Promise<Report>} */
async function benchStatistics(url) {
  const page = await browser.newPage();
  page.on('pageerror', ({ message }) => console.error(message));
  await page.goto(url);
  const job = { bandRows: 10_000, resamples: 200, points: 256, brushRows: 100_000, rounds };
  const times = await page.evaluate((value) => window.measureStatistics(value), job);
  await page.close();
  const bands = `bands of ${job.bandRows} answers, ${job.resamples} resamples, ${job.points} points`;
  const brush = `one brush step over ${job.brushRows} rows, six charts`;
  return {
    title: 'Calibration statistics in the worker, from the page’s call to the result',
    command: 'npm run bench -- --only statistics --write',
    measuredOn,
    figures: [
      { label: bands, value: times.bandsMs, unit: 'ms', goal: '<= 150' },
      { label: `${bands}, smoothing every value`, value: times.plainBandsMs, unit: 'ms' },
      { label: 'bands: speed-up over smoothing every value', value: times.plainBandsMs / times.bandsMs, unit: '×' },
      {
        label: `densities and histograms of ${job.bandRows} answers without bands`,
        value: times.densityMs,
        unit: 'ms',
      },
      { label: brush, value: times.brushMs, unit: 'ms', goal: '<= 16' },
      { label: `${brush}, maximum`, value: times.longestBrushMs, unit: 'ms' },
      { label: `${brush}, filtering all rows per chart`, value: times.plainBrushMs, unit: 'ms' },
      { label: 'brush: speed-up over filtering all rows', value: times.plainBrushMs / times.brushMs, unit: '×' },
      { label: `loading ${job.brushRows} rows of CSV`, value: times.loadMs, unit: 'ms' },
    ],
  };
}

/** @returns {Promise<Report>} */
async function benchCompanion() {
  await build({ ...builds.page, logLevel: 'warn' });
  const companion = await startCompanion(builds.page.build.outDir, 'models/patchlight-scenes');
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  try {
    const { drawnMs, shownMs, maps } = await measureArrival(page, companion.address, questions);
    return {
      title: 'Companion on this machine with the embedded model: from a token’s arrival to its map',
      command: 'npm run bench -- --only arrival --write',
      measuredOn,
      figures: [
        { label: 'tokens', value: maps },
        { label: 'map drawn after a token arrives', value: drawnMs, unit: 'ms' },
        { label: 'map on screen after a token arrives', value: shownMs, unit: 'ms' },
      ],
    };
  } finally {
    await page.close();
    companion.stop();
  }
}

/** @returns {Promise<Report>} */
async function benchTraining() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-bench-'));
  const measure = ['-m', 'patchlight.measure.training_step', '--rounds', String(rounds), '--out', folder];
  try {
    execFileSync(installedPython(), measure, {
      cwd: path.join(root, 'companion/src'),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return JSON.parse(readFileSync(path.join(folder, 'training.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @type {Record<string, () => Promise<Report>>} */
const benches = {
  head: () => withServer(builds.head, benchHead),
  page: () => withServer(builds.page, benchPage),
  explain: () => withServer(builds.explain, benchExplain),
  arrival: benchCompanion,
  statistics: () => withServer(builds.head, benchStatistics),
  training: benchTraining,
};

try {
  for (const [name, measure] of Object.entries(benches)) {
    if (options.only !== undefined && options.only !== name) continue;
    const report = await measure();
    console.log(`\n${report.title}`);
    for (const figure of report.figures) {
      const { label, value, unit } = figure;
      const text = typeof value === 'number' ? Number(value.toPrecision(4)) : value;
      console.log(`  ${label.padEnd(66)} ${String(text).padStart(9)} ${(unit ?? '').padEnd(6)} ${renderGoal(figure)}`);
    }
    if (!options.write) continue;
    const folder = path.join(root, 'bench/report');
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  }
} finally {
  await browser.close();
}
