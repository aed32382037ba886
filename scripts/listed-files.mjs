// @ts-check
// Compares a shipped folder with its manifest.json, which lists the size and SHA-256 of its files.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** @typedef {{ sha256: string, bytes: number }} Listed */

/** @param {string} folder */
export function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => statSync(path.join(folder, file)).isFile());
}

/** @param {string} folder */
function foldersIn(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(folder, entry.name));
}

/** @param {string} folder */
function listedIn(folder) {
  /** @typedef {{ files?: Record<string, Listed> }} Part */
  /** @type {Part & { explain?: Part, otherHeads?: Record<string, Part> }} */
  const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
  const parts = [manifest, manifest.explain, ...Object.values(manifest.otherHeads ?? {})];
  return Object.assign({}, ...parts.map((part) => part?.files));
}

/**
 * @param {string} folder
 * @param {(file: string) => boolean} mustBeListed
 * @returns {string[]} the folder's problems
 */
export function listedFilesProblems(folder, mustBeListed) {
  const name = path.basename(folder);
  if (!existsSync(path.join(folder, 'manifest.json'))) return [`${name} has no manifest.json`];
  const listed = listedIn(folder);
  const problems = Object.entries(listed).flatMap(([file, { bytes, sha256 }]) => {
    const full = path.join(folder, file);
    if (!existsSync(full)) return [`${name}/${file} is listed but missing`];
    const content = readFileSync(full);
    const digest = createHash('sha256').update(content).digest('hex');
    return [
      ...(content.length === bytes ? [] : [`${name}/${file}: ${content.length} bytes (manifest: ${bytes})`]),
      ...(digest === sha256 ? [] : [`${name}/${file}: sha256 ${digest} (manifest: ${sha256})`]),
    ];
  });
  const unlisted = filesUnder(folder).filter((file) => mustBeListed(file) && !listed[file]);
  return [
    ...(Object.keys(listed).length === 0 ? [`${name}/manifest.json lists no files`] : []),
    ...problems,
    ...unlisted.map((file) => `${name}/${file} is not in the manifest`),
  ];
}

/**
 * Checks every folder in `home`, prints a summary and all problems, and sets the exit code.
 * @param {{ home: string, what: string, budgetBytes: number, problemsOf: (folder: string) => string[] }} check
 */
export function checkFolders({ home, what, budgetBytes, problemsOf }) {
  const folders = foldersIn(home);
  const files = existsSync(home) ? filesUnder(home) : [];
  const total = files.reduce((sum, file) => sum + statSync(path.join(home, file)).size, 0);
  const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  console.log(`${folders.length} ${what}, ${megabytes(total)}; the budget is ${megabytes(budgetBytes)}`);
  const problems = [
    ...(folders.length === 0 ? [`${home} has no ${what}`] : []),
    ...(total > budgetBytes ? [`over the budget by ${megabytes(total - budgetBytes)}`] : []),
    ...folders.flatMap(problemsOf),
  ];
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
