// @ts-check
// Checks the gzipped size of the JavaScript needed for the first paint: the entry module and all its static imports.
// Checks also that no chunk imports a worker's entry.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { root } from './shell.mjs';
import { entryImports } from './worker-entries.mjs';

const budgetBytes = 300_000;
const dist = path.join(root, 'dist');

/** @typedef {{ file: string, isEntry?: boolean, imports?: string[] }} Chunk */

/** @type {Record<string, Chunk>} */
const manifest = JSON.parse(readFileSync(path.join(dist, '.vite/manifest.json'), 'utf8'));
const html = readFileSync(path.join(dist, 'index.html'), 'utf8');

/** @param {string} key @param {Set<string>} visited */
function collect(key, visited) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`dist/.vite/manifest.json has no ${key}`);
  if (visited.has(chunk.file)) return visited;
  visited.add(chunk.file);
  for (const next of chunk.imports ?? []) collect(next, visited);
  return visited;
}

const files = [...collect('index.html', new Set())];
const loaded = [...html.matchAll(/(?:src|href)="([^"]+\.m?js)"/g)].map((match) =>
  (match[1] ?? '').replace(/^\.\//, ''),
);
const unknown = loaded.filter((file) => !files.includes(file));
const external = [...html.matchAll(/(?:src|href)="((?:https?:)?\/\/[^"]+)"/g)].map((match) => match[1]);

let total = 0;
for (const file of files) {
  const bytes = gzipSync(readFileSync(path.join(dist, file)), { level: 9 }).length;
  total += bytes;
  console.log(`${(bytes / 1000).toFixed(1).padStart(8)} kB  ${file}`);
}
console.log(
  `${(total / 1000).toFixed(1).padStart(8)} kB gzipped before the first paint; the budget is ${budgetBytes / 1000} kB`,
);

const licences = readFileSync(path.join(dist, 'licences.md'), 'utf8');
const redistributed = [
  ...['react', 'onnxruntime-web', 'hyparquet', 'fzstd', '@jsquash/webp'],
  ...['@fontsource-variable/inter', '@fontsource-variable/jetbrains-mono'],
];

const problems = [
  ...entryImports(path.join(dist, 'assets')),
  ...redistributed.flatMap((name) =>
    licences.includes(`## ${name} - `) ? [] : [`dist/licences.md does not list ${name}`],
  ),
  ...(total > budgetBytes ? [`over the budget by ${((total - budgetBytes) / 1000).toFixed(1)} kB`] : []),
  ...(loaded.length === 0 ? ['dist/index.html loads no script'] : []),
  ...unknown.map((file) => `dist/index.html loads ${file}, which the entry does not import`),
  ...external.map((url) => `dist/index.html loads from another origin: ${url}`),
  ...(html.includes('Content-Security-Policy') ? [] : ['dist/index.html has no content security policy']),
];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
