// @ts-check
// Renders the figures in README.md (a selection) and docs/figures.md (all) from the measured reports, so that the
// documents always match them.
//   node scripts/figures.mjs           writes both
//   node scripts/figures.mjs --check   fails if a document differs from the reports
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { root } from './shell.mjs';

const reportFolders = ['public/models/patchlight-scenes/report', 'public/datasets/patchlight-scenes', 'bench/report'];

/**
 * One report file: figures measured by one command. A report without `figures` is for other consumers. `interval` is
 * the 95 % interval of a sampled figure.
 * @typedef {{ label: string, value: number | string, interval?: readonly [number, number], unit?: string, goal?: string }} Figure
 * Figures that are easier to read in columns are in tables.
 * @typedef {{ title: string, columns: string[], rows: (string | number)[][] }} Table
 * @typedef {{ title: string, command: string, measuredOn?: string, figures: Figure[], tables?: Table[] }} Report
 */

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {value is Figure} */
const isFigure = (value) =>
  isRecord(value) && typeof value.label === 'string' && ['number', 'string'].includes(typeof value.value);

/** @param {unknown} value @returns {value is Table} */
function isTable(value) {
  if (!isRecord(value)) return false;
  const { title, columns, rows } = value;
  if (typeof title !== 'string' || !Array.isArray(columns) || !Array.isArray(rows)) return false;
  return rows.every((row) => Array.isArray(row) && row.length === columns.length);
}

/**
 * @param {string} file
 * @param {unknown} data
 * @returns {Report | undefined}
 */
export function parseReport(file, data) {
  if (!isRecord(data) || !('figures' in data)) return undefined;
  const { title, command, measuredOn, figures } = data;
  if (typeof title !== 'string' || typeof command !== 'string') throw new Error(`${file} needs a title and a command`);
  if (!Array.isArray(figures) || !figures.every(isFigure))
    throw new Error(`${file}: each figure needs label and value`);
  const { tables = [] } = data;
  if (!Array.isArray(tables) || !tables.every(isTable))
    throw new Error(`${file}: each table needs title, columns, rows`);
  return { title, command, figures, tables, ...(typeof measuredOn === 'string' ? { measuredOn } : {}) };
}

/** @param {Figure} figure */
function renderValue({ value, interval, unit }) {
  const number = unit === undefined ? renderNumber(value) : `${renderNumber(value)} ${unit}`;
  return interval === undefined ? number : `${number} (${interval.map(renderNumber).join(' to ')})`;
}

/** @param {number | string} value */
const renderNumber = (value) => (typeof value === 'string' ? value : String(Number(value.toPrecision(4))));

/** @param {readonly string[]} cells */
const renderRow = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;

/** @param {Table} table */
function renderTable({ title, columns, rows }) {
  const rule = `|---${'|---:'.repeat(columns.length - 1)}|`;
  return [`${title}:`, '', renderRow(columns), rule, ...rows.map((row) => renderRow(row.map(renderNumber)))].join('\n');
}

/** @param {readonly Figure[]} figures */
const measuredHeading = (figures) =>
  figures.some(({ interval }) => interval !== undefined) ? 'measured (95 % interval)' : 'measured';

/**
 * Whether a figure meets its goal, such as ">= 0.8": with an interval, its worse end has to. `is_met` in
 * companion/src/patchlight/report.py judges alike.
 * @param {Figure & { goal: string }} figure
 */
export function isMet({ label, value, interval, goal }) {
  const match = /^(>=|<=) (\d+(?:\.\d+)?(?:e-?\d+)?)$/.exec(goal);
  if (match === null) throw new Error(`the goal "${goal}" of "${label}" is not such as ">= 0.8" or "<= 10"`);
  if (typeof value === 'string') throw new Error(`"${label}" has a goal, but its value is text: "${value}"`);
  const [, sign, bound] = match;
  const limit = Number(bound);
  const [low, high] = interval ?? [value, value];
  return sign === '>=' ? low >= limit : high <= limit;
}

/**
 * A figure's goal and whether it is met; empty if it has none.
 * @param {Figure} figure
 */
export function renderGoal({ goal, ...figure }) {
  if (goal === undefined) return '';
  return `${goal}: ${isMet({ ...figure, goal }) ? 'met' : 'missed'}`;
}

/** @param {readonly Report[]} reports */
export function renderFigures(reports) {
  if (reports.length === 0) return 'Nothing has been measured yet.';
  const sections = reports.map(({ title, command, measuredOn, figures, tables = [] }) => {
    const hasGoals = figures.some(({ goal }) => goal !== undefined);
    const measured = measuredHeading(figures);
    const head = hasGoals ? `| | ${measured} | goal |\n|---|---:|---:|` : `| | ${measured} |\n|---|---:|`;
    const rows = figures.map((figure) => {
      const cells = [figure.label, renderValue(figure), ...(hasGoals ? [renderGoal(figure)] : [])];
      return renderRow(cells);
    });
    const where = measuredOn === undefined ? '' : ` (${measuredOn})`;
    const list = figures.length === 0 ? [] : [[head, ...rows].join('\n')];
    return [`### ${title}`, `\`${command}\`${where}`, ...list, ...tables.map(renderTable)].join('\n\n');
  });
  return sections.join('\n\n');
}

/** The figures shown in the README, by report and label, with the text that the README uses. */
const readmeFigures = [
  {
    report: 'Answers on unseen scenes (greedy, exact match)',
    label: 'overall',
    text: 'Right answers of the embedded model on unseen scenes',
  },
  {
    report: 'FastRM head compared with exact Chefer on held-out answers',
    label: 'F1 at the threshold',
    text: 'FastRM maps against exact Chefer, F1 of the marked patches',
  },
  {
    report: 'Entropy and log-probability as predictors of right answers (10188 answers)',
    label: 'AUROC of log-probability (mean), on the same half',
    text: 'Log-probability separates right from wrong answers, AUROC',
  },
  {
    report: 'Entropy and log-probability as predictors of right answers (10188 answers)',
    label: 'AUROC of entropy (sum-normalised, mean), on one half of the answers',
    text: 'Entropy of the maps separates them, AUROC',
  },
  {
    report: 'Entropy and log-probability as predictors of right answers (10188 answers)',
    label: 'AUROC of the kind of question alone',
    text: 'The kind of question alone separates them, AUROC',
  },
  {
    report: 'Entropy and log-probability as predictors of right answers (10188 answers)',
    label: 'AUROC of entropy (sum-normalised, mean) within one kind of question',
    text: 'Entropy among answers to the same kind of question, AUROC',
  },
  {
    report: 'Entropy and log-probability as predictors of right answers (10188 answers)',
    label: 'AUROC of log-probability (mean) within one kind of question',
    text: 'Log-probability among answers to the same kind of question, AUROC',
  },
  {
    report: 'The page with its embedded model',
    label: 'map drawn after a click on a token',
    text: 'From a click on a token to its map on screen',
  },
  {
    report: 'FastRM head alone: random weights, 576 patches, 64 text tokens, 100 answer tokens',
    label: 'd = 4096: 100 tokens at once, including the image: speed-up over the paper’s formulation',
    text: 'FastRM maps of a 100-token answer at d = 4096, speed-up over the paper’s form',
  },
];

/** @param {readonly Report[]} reports */
export function renderReadmeFigures(reports) {
  const chosen = readmeFigures.map(({ report: title, label, text }) => {
    const report = reports.find((candidate) => candidate.title === title);
    const figure = report?.figures.find((candidate) => candidate.label === label);
    if (report === undefined || figure === undefined)
      throw new Error(`no report has the figure "${label}" of "${title}"`);
    return { text, figure, command: report.command };
  });
  const rows = chosen.map(({ text, figure, command }) => renderRow([text, renderValue(figure), `\`${command}\``]));
  const measured = measuredHeading(chosen.map(({ figure }) => figure));
  return [`| | ${measured} | by |\n|---|---:|---|`, ...rows].join('\n');
}

function readReports() {
  return reportFolders.flatMap((folder) => {
    const full = path.join(root, folder);
    if (!existsSync(full)) return [];
    const files = readdirSync(full).filter((file) => file.endsWith('.json'));
    return files.sort().flatMap((file) => {
      const report = parseReport(`${folder}/${file}`, JSON.parse(readFileSync(path.join(full, file), 'utf8')));
      return report ? [report] : [];
    });
  });
}

/**
 * Replaces the part of a document between two markers.
 * @param {string} text
 * @param {string} section
 * @param {{ file: string, name: string }} where the document, and the name of its markers
 */
export function replaceSection(text, section, { file, name }) {
  const marks = { begin: `<!-- ${name}: begin -->`, end: `<!-- ${name}: end -->` };
  const from = text.indexOf(marks.begin);
  const to = text.indexOf(marks.end);
  if (from < 0 || to < from) throw new Error(`${file} is missing ${marks.begin} and ${marks.end}`);
  return `${text.slice(0, from + marks.begin.length)}\n${section}\n${text.slice(to)}`;
}

/** @type {readonly { file: string, render: (reports: readonly Report[]) => string }[]} */
const documents = [
  { file: 'README.md', render: renderReadmeFigures },
  { file: 'docs/figures.md', render: renderFigures },
];

function main() {
  const reports = readReports();
  console.log(`${reports.length} reports, ${reports.reduce((sum, { figures }) => sum + figures.length, 0)} figures`);
  for (const { file, render } of documents) {
    const full = path.join(root, file);
    const before = readFileSync(full, 'utf8');
    const after = replaceSection(before, render(reports), { file, name: 'figures' });
    if (!process.argv.includes('--check')) {
      writeFileSync(full, after);
    } else if (after !== before) {
      console.error(`${file} differs from the reports: run node scripts/figures.mjs`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
