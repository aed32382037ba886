// @ts-check
import path from 'node:path';
import process from 'node:process';
import { expect, it } from 'vitest';
import { installedPython } from './python.mjs';
import { root } from './shell.mjs';

it('says how to install a missing virtual environment', () => {
  expect(installedPython(process.execPath)).toBe(process.execPath);
  expect(() => installedPython(path.join(root, '.no-venv/bin/python'))).toThrow(
    '.no-venv/bin/python is missing; to install it: node scripts/install.mjs node python',
  );
});
