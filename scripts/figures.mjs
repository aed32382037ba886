// @ts-check
// The figures in README.md (those with a goal) and docs/figures.md (all) are rendered from measured reports, so that they
// cannot drift from them.
//   node scripts/figures.mjs           writes both
//   node scripts/figures.mjs --check   fails where a document says something else than the reports
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { root } from './shell.mjs';

const reportFolders = ['public/models/patchlight-scenes/report', 'public/datasets/patchlight-scenes', 'bench/report'];

/**
 * One report file: what was measured together by one command. A report without `figures` is data for other readers.
 * @typedef {{ label: string, value: number | string, unit?: string, goal?: string }} Figure
 * What is told better by columns than one by one comes in tables beside the figures.
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
function renderValue({ value, unit }) {
  return unit === undefined ? renderNumber(value) : `${renderNumber(value)} ${unit}`;
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

/** @param {readonly Report[]} reports */
export function renderFigures(reports) {
  if (reports.length === 0) return 'Nothing has been measured yet.';
  const sections = reports.map(({ title, command, measuredOn, figures, tables = [] }) => {
    const hasGoals = figures.some(({ goal }) => goal !== undefined);
    const head = hasGoals ? '| | measured | goal |\n|---|---:|---:|' : '| | measured |\n|---|---:|';
    const rows = figures.map((figure) => {
      const cells = [figure.label, renderValue(figure), ...(hasGoals ? [figure.goal ?? ''] : [])];
      return renderRow(cells);
    });
    const where = measuredOn === undefined ? '' : ` (${measuredOn})`;
    const list = figures.length === 0 ? [] : [[head, ...rows].join('\n')];
    return [`### ${title}`, `\`${command}\`${where}`, ...list, ...tables.map(renderTable)].join('\n\n');
  });
  return sections.join('\n\n');
}

/**
 * What was wanted beside what was found, a report a group.
 * @param {readonly Report[]} reports
 */
export function renderGoals(reports) {
  const rows = reports.flatMap(({ title, figures }) => {
    const held = figures.filter(({ goal }) => goal !== undefined);
    if (held.length === 0) return [];
    return [
      renderRow([`**${title}**`, '', '']),
      ...held.map((figure) => renderRow([figure.label, renderValue(figure), figure.goal ?? ''])),
    ];
  });
  return ['| | measured | goal |\n|---|---:|---:|', ...rows].join('\n');
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
 * A document with what stands between its marks replaced.
 * @param {string} text
 * @param {string} section
 * @param {{ file: string, name: string }} where the document, and its marks' name
 */
export function replaceSection(text, section, { file, name }) {
  const marks = { begin: `<!-- ${name}: begin -->`, end: `<!-- ${name}: end -->` };
  const from = text.indexOf(marks.begin);
  const to = text.indexOf(marks.end);
  if (from < 0 || to < from) throw new Error(`${file} lacks ${marks.begin} and ${marks.end}`);
  return `${text.slice(0, from + marks.begin.length)}\n${section}\n${text.slice(to)}`;
}

/** @type {readonly { file: string, render: (reports: readonly Report[]) => string }[]} */
const documents = [
  { file: 'README.md', render: renderGoals },
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
      console.error(`${file} does not say what the reports say: run node scripts/figures.mjs`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
