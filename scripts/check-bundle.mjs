// @ts-check
// The first paint's own JavaScript: the built page's entry and all that it imports statically, gzipped.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { root } from './shell.mjs';

const budgetBytes = 300_000;
const dist = path.join(root, 'dist');

/** @typedef {{ file: string, isEntry?: boolean, imports?: string[] }} Chunk */

/** @type {Record<string, Chunk>} */
const manifest = JSON.parse(readFileSync(path.join(dist, '.vite/manifest.json'), 'utf8'));
const html = readFileSync(path.join(dist, 'index.html'), 'utf8');

/** @param {string} key @param {Set<string>} found */
function collect(key, found) {
  const chunk = manifest[key];
  if (!chunk) throw new Error(`dist/.vite/manifest.json has no ${key}`);
  if (found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const next of chunk.imports ?? []) collect(next, found);
  return found;
}

const files = [...collect('index.html', new Set())];
const loaded = [...html.matchAll(/(?:src|href)="([^"]+\.m?js)"/g)].map((match) =>
  (match[1] ?? '').replace(/^\.\//, ''),
);
const strangers = loaded.filter((file) => !files.includes(file));
const elsewhere = [...html.matchAll(/(?:src|href)="((?:https?:)?\/\/[^"]+)"/g)].map((match) => match[1]);

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
const redistributed = ['react', 'onnxruntime-web', '@fontsource-variable/inter', '@fontsource-variable/jetbrains-mono'];

const faults = [
  ...redistributed.flatMap((name) =>
    licences.includes(`## ${name} - `) ? [] : [`dist/licences.md leaves out ${name}`],
  ),
  ...(total > budgetBytes ? [`over the budget by ${((total - budgetBytes) / 1000).toFixed(1)} kB`] : []),
  ...(loaded.length === 0 ? ['dist/index.html loads no script'] : []),
  ...strangers.map((file) => `dist/index.html loads ${file}, which the entry does not import`),
  ...elsewhere.map((url) => `dist/index.html reaches elsewhere: ${url}`),
  ...(html.includes('Content-Security-Policy') ? [] : ['dist/index.html has no content security policy']),
];
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
