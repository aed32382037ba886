// @ts-check
// The datasets that the page ships: within their budget, byte for byte what their manifests say, and every image that a
// calibration names is in its packed file.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { checkFolders, listedFilesFaults } from './listed-files.mjs';
import { root } from './shell.mjs';

/**
 * The images that the index names, and what is wrong with it: each must be in the file with its hash, and together they
 * must fill the file.
 * @param {string} folder
 * @param {{ file: string, index: string } | undefined} said
 * @returns {{ names: string[], faults: string[] }}
 */
function packedImages(folder, said) {
  if (!said) return { names: [], faults: ['the calibration names no file of images'] };
  /** @type {{ images: Record<string, { offset: number, bytes: number, sha256: string }> }} */
  const { images } = JSON.parse(readFileSync(path.join(folder, said.index), 'utf8'));
  const content = readFileSync(path.join(folder, said.file));
  let end = 0;
  const faults = Object.entries(images).flatMap(([name, { offset, bytes, sha256 }]) => {
    const isNext = offset === end;
    end = offset + bytes;
    const found = createHash('sha256').update(content.subarray(offset, end)).digest('hex');
    return [
      ...(isNext ? [] : [`${name} does not start where the image before it ends`]),
      ...(found === sha256 ? [] : [`${name}: sha256 ${found} (index: ${sha256})`]),
    ];
  });
  if (end !== content.length) faults.push(`${said.file} has ${content.length} bytes, its images ${end}`);
  return { names: Object.keys(images), faults };
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function calibrationFaults(folder) {
  const name = path.basename(folder);
  const file = path.join(folder, 'calibration.arrow');
  if (!existsSync(file)) return [`${name} has no calibration.arrow`];
  const table = tableFromIPC(readFileSync(file));
  const said = JSON.parse(table.schema.metadata.get('patchlight.calibration') ?? '{}');
  /** @param {string} column */
  const distinct = (column) => new Set(/** @type {unknown[]} */ ([...(table.getChild(column) ?? [])]));
  const named = distinct('image');
  const packed = packedImages(folder, said.images);
  const missing = [...named].filter((image) => typeof image !== 'string' || !packed.names.includes(image));
  const unused = packed.names.filter((image) => !named.has(image));
  // One cell per image, in the order of the images.
  const cells = packed.names.length;
  const outside = [...distinct('thumbnail')].filter((cell) => typeof cell !== 'number' || cell < 0 || cell >= cells);
  const strangers = [...distinct('set')].filter((set) => !said.data.sets.includes(set));
  return [
    ...(said.n === table.numRows ? [] : [`${name}: ${table.numRows} answers (it says ${said.n})`]),
    ...missing.map((image) => `${name}: ${image} is named and not there`),
    ...unused.map((image) => `${name}: ${image} belongs to no answer`),
    ...packed.faults.map((fault) => `${name}: ${fault}`),
    ...(existsSync(path.join(folder, said.sprites?.file ?? '')) ? [] : [`${name} has no thumbnails`]),
    ...outside.map((cell) => `${name}: thumbnail ${cell} of ${cells}`),
    ...strangers.map((set) => `${name}: answers of ${set}, which it does not list`),
  ];
}

checkFolders({
  home: path.join(root, 'public/datasets'),
  what: 'data sets',
  budgetBytes: 10_000_000,
  faultsOf: (folder) => [
    ...listedFilesFaults(folder, (file) => file !== 'manifest.json'),
    ...calibrationFaults(folder),
  ],
});
