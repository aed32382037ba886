// @ts-check
// The models that the page ships: within their budget, and byte for byte what their manifests say.
import path from 'node:path';
import { checkFolders, listedFilesFaults } from './listed-files.mjs';
import { root } from './shell.mjs';

checkFolders({
  home: path.join(root, 'public/models'),
  what: 'models',
  budgetBytes: 40_000_000,
  faultsOf: (folder) => listedFilesFaults(folder, (file) => file.endsWith('.onnx')),
});
