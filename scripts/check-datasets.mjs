// @ts-check
// The data sets that the page ships: within their budget, byte for byte what their manifests say, and every picture
// that a calibration names is there.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { checkFolders, filesUnder, listedFilesFaults } from './listed-files.mjs';
import { root } from './shell.mjs';

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
  const images = filesUnder(folder).filter((each) => each.startsWith('images/'));
  const missing = [...named].filter((image) => typeof image !== 'string' || !images.includes(image));
  const unused = images.filter((image) => !named.has(image));
  // A cell a picture, in the pictures' order.
  const cells = images.length;
  const outside = [...distinct('thumbnail')].filter((cell) => typeof cell !== 'number' || cell < 0 || cell >= cells);
  const strangers = [...distinct('set')].filter((set) => !said.data.sets.includes(set));
  return [
    ...(said.n === table.numRows ? [] : [`${name}: ${table.numRows} answers (it says ${said.n})`]),
    ...missing.map((image) => `${name}: ${image} is named and not there`),
    ...unused.map((image) => `${name}/${image} belongs to no answer`),
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
