// @ts-check
// Checks the shipped models: they stay within the budget and match their manifests byte for byte.
import path from 'node:path';
import { checkFolders, listedFilesProblems } from './listed-files.mjs';
import { root } from './shell.mjs';

checkFolders({
  home: path.join(root, 'public/models'),
  what: 'models',
  budgetBytes: 40_000_000,
  problemsOf: (folder) => listedFilesProblems(folder, (file) => file.endsWith('.onnx')),
});
