// @ts-check
// Imports in src point down. The arrows are data here, and prose in src/README.md.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './shell.mjs';

/** Which folders a folder may import from, itself apart. `main` is src/main.tsx. */
export const arrows = /** @type {const} */ ({
  main: ['views', 'state', 'source', 'inference', 'statistics', 'contract', 'marks', 'math', 'theme'],
  views: ['state', 'marks', 'contract', 'math', 'theme'],
  state: ['source', 'inference', 'statistics', 'contract', 'math', 'theme'],
  source: ['contract', 'math'],
  inference: ['contract', 'math'],
  statistics: ['contract', 'math'],
  marks: ['math', 'theme'],
  contract: ['math'],
  theme: [],
  math: [],
});

/** Single files that may do what their folder may not, each with its reason. */
const exceptions = [
  { from: 'source/', to: 'inference/client', why: 'the embedded source speaks to the worker through its client' },
  { from: 'statistics/', to: 'inference/worker-link', why: 'one way for the page to speak to a worker' },
  { from: 'statistics/', to: 'inference/macrotask', why: 'messages that wait are heard between two computations' },
  { from: 'source/', to: 'inference/head-client', why: "a companion's states become maps in the head's worker" },
  { from: 'source/', to: 'inference/activation-client', why: 'and token activation maps in a worker of their own' },
];

/** Packages that only some folders may know: React stays above the marks, the runtime stays in the worker's folder. */
const packageFolders = [
  {
    packages: /^(react|react-dom|react-aria-components|react-aria|@react-.*)(\/|$)/,
    folders: ['main', 'views', 'state'],
  },
  { packages: /^onnxruntime-web(\/|$)/, folders: ['inference'] },
  { packages: /^(apache-arrow|flatbuffers)(\/|$)/, folders: ['contract'] },
  { packages: /^(hyparquet|d3-dsv)(\/|$)/, folders: ['contract'] },
  { packages: /^zod(\/|$)/, folders: ['contract', 'main'] },
  { packages: /^@noble\/hashes(\/|$)/, folders: ['contract'] },
  { packages: /^zustand(\/|$)/, folders: ['state'] },
];

const src = path.join(root, 'src');
const isTest = (/** @type {string} */ file) => /\.test\.tsx?$/.test(file);

/** @param {string} relative a file in src, `/`-separated */
const folderOf = (relative) => (relative.includes('/') ? /** @type {string} */ (relative.split('/')[0]) : 'main');

/** @param {string} text */
function importsOf(text) {
  const urls = [...text.matchAll(/new URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g)].map(
    (match) => match[1] ?? '',
  );
  return [...ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName), ...urls];
}

/**
 * What is wrong with one file's imports.
 * @param {string} relative the file, from src
 * @param {string} text its content
 * @returns {string[]}
 */
export function faultsOf(relative, text) {
  const from = folderOf(relative);
  if (!(from in arrows))
    return [`${relative}: folder ${from} has no place among the arrows in scripts/check-imports.mjs`];
  const allowed = /** @type {readonly string[]} */ (arrows[/** @type {keyof typeof arrows} */ (from)]);
  /** @type {string[]} */
  const faults = [];
  for (const name of importsOf(text)) {
    if (name.startsWith('.')) {
      const target = path.posix.join(path.posix.dirname(relative), name);
      if (target.startsWith('../')) {
        if (!isTest(relative)) faults.push(`${relative} imports ${name}, which is outside src`);
        continue;
      }
      const to = folderOf(target);
      const excepted = exceptions.some((rule) => relative.startsWith(rule.from) && target.startsWith(rule.to));
      if (to !== from && !allowed.includes(to) && !excepted)
        faults.push(`${relative} imports ${target}: ${from} may not know ${to}`);
    } else if (name.startsWith('node:')) {
      if (!isTest(relative)) faults.push(`${relative} imports ${name}, which no browser has`);
    } else {
      const rule = packageFolders.find(({ packages }) => packages.test(name));
      if (rule && !rule.folders.includes(from) && !isTest(relative))
        faults.push(`${relative} imports ${name}: only ${rule.folders.join(', ')} may`);
    }
  }
  return faults;
}

function main() {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .sort();
  const guide = readFileSync(path.join(src, 'README.md'), 'utf8');
  const faults = [
    ...files.flatMap((file) => faultsOf(file, readFileSync(path.join(src, file), 'utf8'))),
    ...Object.keys(arrows)
      .filter((folder) => !guide.includes(folder === 'main' ? '`main.tsx`' : `\`${folder}/\``))
      .map((folder) => `src/README.md has no line for ${folder}`),
  ];
  for (const fault of faults) console.error(fault);
  console.log(`${files.length} files, ${faults.length} faults in their imports`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
