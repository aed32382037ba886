// @ts-check
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { decodePng } from '../src/inference/png-pixels.ts';
import { compressPngs } from './compress-png.mjs';
import { root } from './shell.mjs';

it('makes a file smaller and keeps its pixels', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-compress-'));
  const [before, after] = [path.join(root, 'src/inference/fixtures/pictures/rgba.png'), path.join(folder, 'after.png')];
  copyFileSync(before, after);
  try {
    await compressPngs([after]);
    expect(statSync(after).size).toBeLessThan(statSync(before).size);
    const [expected, actual] = await Promise.all([before, after].map((file) => decodePng(readFileSync(file))));
    expect(actual).toEqual(expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
