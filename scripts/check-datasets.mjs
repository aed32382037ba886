// @ts-check
// Checks the shipped datasets: they stay within the budget, match their manifests byte for byte, and their packed files
// contain every image that a calibration names.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { checkFolders, listedFilesProblems } from './listed-files.mjs';
import { root } from './shell.mjs';

/**
 * Returns the names of the indexed images, and any problems: each image's bytes must match its hash, and the images
 * must cover the file from start to end without gaps.
 * @param {string} folder
 * @param {{ file: string, index: string } | undefined} declared
 * @returns {{ names: string[], problems: string[] }}
 */
function packedImages(folder, declared) {
  if (!declared) return { names: [], problems: ['the calibration names no packed images'] };
  /** @type {{ images: Record<string, { offset: number, bytes: number, sha256: string }> }} */
  const { images } = JSON.parse(readFileSync(path.join(folder, declared.index), 'utf8'));
  const content = readFileSync(path.join(folder, declared.file));
  let end = 0;
  const problems = Object.entries(images).flatMap(([name, { offset, bytes, sha256 }]) => {
    const isNext = offset === end;
    end = offset + bytes;
    const digest = createHash('sha256').update(content.subarray(offset, end)).digest('hex');
    return [
      ...(isNext ? [] : [`${name} does not start at the end of the previous image`]),
      ...(digest === sha256 ? [] : [`${name}: sha256 ${digest} (index: ${sha256})`]),
    ];
  });
  if (end !== content.length) problems.push(`${declared.file} has ${content.length} bytes, but its images have ${end}`);
  return { names: Object.keys(images), problems };
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function calibrationProblems(folder) {
  const name = path.basename(folder);
  const file = path.join(folder, 'calibration.arrow');
  if (!existsSync(file)) return [`${name} has no calibration.arrow`];
  const table = tableFromIPC(readFileSync(file));
  const facts = JSON.parse(table.schema.metadata.get('patchlight.calibration') ?? '{}');
  /** @param {string} column */
  const distinct = (column) => new Set(/** @type {unknown[]} */ ([...(table.getChild(column) ?? [])]));
  const named = distinct('image');
  const packed = packedImages(folder, facts.images);
  const missing = [...named].filter((image) => typeof image !== 'string' || !packed.names.includes(image));
  const unused = packed.names.filter((image) => !named.has(image));
  // The thumbnail sheet has one cell per image, in image order.
  const cells = packed.names.length;
  const outside = [...distinct('thumbnail')].filter((cell) => typeof cell !== 'number' || cell < 0 || cell >= cells);
  const unlisted = [...distinct('set')].filter((set) => !facts.data.sets.includes(set));
  return [
    ...(facts.n === table.numRows ? [] : [`${name}: ${table.numRows} answers (metadata: ${facts.n})`]),
    ...missing.map((image) => `${name}: ${image} is missing`),
    ...unused.map((image) => `${name}: ${image} is not used by any answer`),
    ...packed.problems.map((problem) => `${name}: ${problem}`),
    ...(existsSync(path.join(folder, facts.sprites?.file ?? '')) ? [] : [`${name} has no thumbnails`]),
    ...outside.map((cell) => `${name}: thumbnail ${cell} is outside 0 to ${cells - 1}`),
    ...unlisted.map((set) => `${name}: ${set} has answers but is not listed`),
  ];
}

checkFolders({
  home: path.join(root, 'public/datasets'),
  what: 'datasets',
  budgetBytes: 10_000_000,
  problemsOf: (folder) => [
    ...listedFilesProblems(folder, (file) => file !== 'manifest.json'),
    ...calibrationProblems(folder),
  ],
});
