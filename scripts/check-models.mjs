// @ts-check
// The models that the page ships: within their budget, and byte for byte what their manifests say.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { root } from './shell.mjs';

const budgetBytes = 40_000_000;
const models = path.join(root, 'public/models');

/** @typedef {{ sha256: string, bytes: number }} Listed */

/** @param {string} folder */
function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => statSync(path.join(folder, file)).isFile());
}

/**
 * @param {string} folder one model
 * @returns {string[]} what is wrong with it
 */
function faultsOf(folder) {
  const name = path.basename(folder);
  const manifestFile = path.join(folder, 'manifest.json');
  if (!existsSync(manifestFile)) return [`${name} has no manifest.json`];
  /** @type {{ files?: Record<string, Listed>, explain?: { files?: Record<string, Listed> } }} */
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
  const listing = { ...manifest.files, ...manifest.explain?.files };
  const files = Object.entries(listing);
  const faults = files.flatMap(([file, listed]) => {
    const full = path.join(folder, file);
    if (!existsSync(full)) return [`${name}/${file} is listed and not there`];
    const bytes = readFileSync(full);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return [
      ...(bytes.length === listed.bytes ? [] : [`${name}/${file}: ${bytes.length} bytes (manifest: ${listed.bytes})`]),
      ...(sha256 === listed.sha256 ? [] : [`${name}/${file}: sha256 ${sha256} (manifest: ${listed.sha256})`]),
    ];
  });
  const unlisted = filesUnder(folder).filter((file) => file.endsWith('.onnx') && !listing[file]);
  return [
    ...(files.length === 0 ? [`${name}/manifest.json lists no files`] : []),
    ...faults,
    ...unlisted.map((file) => `${name}/${file} is not in the manifest`),
  ];
}

const folders = existsSync(models)
  ? readdirSync(models, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => path.join(models, entry.name))
  : [];
const total = existsSync(models)
  ? filesUnder(models).reduce((sum, file) => sum + statSync(path.join(models, file)).size, 0)
  : 0;
console.log(`${folders.length} models, ${(total / 1e6).toFixed(2)} MB; the budget is ${budgetBytes / 1e6} MB`);

const faults = [
  ...(folders.length === 0 ? ['public/models holds no model'] : []),
  ...(total > budgetBytes ? [`over the budget by ${((total - budgetBytes) / 1e6).toFixed(2)} MB`] : []),
  ...folders.flatMap(faultsOf),
];
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
