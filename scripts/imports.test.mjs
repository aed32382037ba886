// @ts-check
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cruise } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import config, { folders, rooms } from './imports.mjs';
import { root } from './shell.mjs';

/** Source files with at least one violation of each rule, and similar imports that are allowed. */
const files = {
  'src/main.tsx': "import { createRoot } from 'react-dom/client'; import './views/app/app'; export { createRoot };",
  'src/gallery/marks.tsx':
    "import { useRef } from 'react'; import '../marks/heatmap'; import '../source/rows'; export { useRef };",
  'src/math/maps/grid.ts': "import '../random';",
  'src/math/random.ts': '',
  'src/math/statistics/entropy.ts': "import '../maps/grid';",
  'src/math/up.ts': "import type { Run } from '../contract/run'; export type R = Run;",
  'src/math/late.ts': "export const late = () => import('../views/app/app');",
  'src/math/node.ts': "import { readFileSync } from 'node:fs'; export { readFileSync };",
  'src/math/node.test.ts': "import { readFileSync } from 'node:fs'; import '../../outside'; export { readFileSync };",
  'src/math/outside.ts': "import '../../outside';",
  'src/math/gone.ts': "import './not-there';",
  'src/contract/run.ts': 'export interface Run { readonly id: string }',
  'src/contract/store.ts': "import { create } from 'zustand'; export { create };",
  'src/contract/rows.ts': "import { tableFromIPC } from 'apache-arrow'; export { tableFromIPC };",
  'src/inference/head-client.ts': "import '../workers/link'; import ort from 'onnxruntime-web'; export { ort };",
  'src/inference/session.ts': '',
  'src/workers/link.ts': '',
  'src/source/embedded.ts': "import '../inference/head-client'; import '../inference/session';",
  'src/source/rows.ts': "import { tableFromIPC } from 'apache-arrow'; export { tableFromIPC };",
  'src/state/first.ts': "import type { B } from './second'; export type A = B | 1;",
  'src/state/second.ts': "import type { A } from './first'; export type B = A | 2;",
  'src/state/hook.ts': "import { useState } from 'react'; import { z } from 'zod'; export { useState, z };",
  'src/state/skip.ts': "import '../inference/head-client';",
  'src/statistics/api.ts': '',
  'src/statistics/client.ts': '',
  'src/marks/heatmap.ts': "import { useRef } from 'react'; import '../contract/run'; export { useRef };",
  'src/text/words.ts': "import '../math/random';",
  'src/theme/colours.ts': "import '../math/random';",
  'src/views/app/app.tsx': "import '../explain/view'; import '../../text/words';",
  'src/views/app/masthead.tsx': '',
  'src/views/explain/view.tsx':
    "import '../app/masthead'; import '../../statistics/api'; import '../../statistics/client';",
  'src/views/loose.tsx': "import '../text/words';",
  'src/views/shared/run.ts': "import * as ort from 'onnxruntime-web/webgpu'; export { ort };",
  'src/views/shared/wasm.ts': "import url from 'onnxruntime-web/some.wasm?url'; export { url };",
  'src/helpers/help.ts': "import '../math/random';",
  'outside.ts': '',
};

/** Formatted as `rule: from -> to`. */
const violations = [
  'from-gallery: src/gallery/marks.tsx -> src/source/rows.ts',
  'from-math: src/math/up.ts -> src/contract/run.ts',
  'from-math: src/math/late.ts -> src/views/app/app.tsx',
  'from-marks: src/marks/heatmap.ts -> src/contract/run.ts',
  'from-text: src/text/words.ts -> src/math/random.ts',
  'from-theme: src/theme/colours.ts -> src/math/random.ts',
  'from-source: src/source/embedded.ts -> src/inference/session.ts',
  'from-state: src/state/skip.ts -> src/inference/head-client.ts',
  'from-views: src/views/explain/view.tsx -> src/statistics/client.ts',
  'from-views-explain: src/views/explain/view.tsx -> src/views/app/masthead.tsx',
  'from-math-statistics: src/math/statistics/entropy.ts -> src/math/maps/grid.ts',
  'only-in-main-gallery-views-state: src/marks/heatmap.ts -> react',
  'only-in-state: src/contract/store.ts -> zustand',
  'only-in-inference: src/views/shared/run.ts -> onnxruntime-web',
  'only-in-inference: src/views/shared/wasm.ts -> onnxruntime-web',
  'only-in-contract: src/source/rows.ts -> apache-arrow',
  'only-in-contract-main: src/state/hook.ts -> zod',
  'no-cycle: src/state/first.ts -> src/state/second.ts',
  'known-folder: src/helpers/help.ts -> src/math/random.ts',
  'known-folder: src/views/loose.tsx -> src/text/words.ts',
  'inside-src: src/math/outside.ts -> outside.ts',
  'no-node: src/math/node.ts -> fs',
  'resolvable: src/math/gone.ts -> ./not-there',
];

/** The package name of a file in node_modules. */
const plainName = (/** @type {string} */ to) =>
  to
    .replace(/^.*node_modules\/(@types\/)?/, '')
    .replace(/^([a-z-]+)\/.*(\.[cm]?[jt]s|\?url)$/, (whole, name) =>
      to.includes('node_modules') || to.includes('?url') ? name : whole,
    );

const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-imports-'));

beforeAll(() => {
  for (const [file, text] of Object.entries(files)) {
    const at = path.join(folder, file);
    mkdirSync(path.dirname(at), { recursive: true });
    writeFileSync(at, text);
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' });

describe('the rules for imports in src', () => {
  it('report exactly one violation each', async () => {
    const { forbidden, options } = config;
    const { tsConfig: _ours, ...rest } = options ?? {};
    const { output } = await cruise(['src'], {
      ...rest,
      ruleSet: { forbidden: forbidden ?? [] },
      validate: true,
      baseDir: folder,
      preserveSymlinks: true,
    });
    if (typeof output === 'string') throw new Error(output);
    const reported = output.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${plainName(to)}`);
    expect(reported.sort()).toEqual([...violations].sort());
  });

  it('each have a line in src/README.md for their folder and room', () => {
    const guide = readFileSync(path.join(root, 'src/README.md'), 'utf8');
    const names = Object.keys(folders).map((name) => (name === 'main' ? '`main.tsx`' : `\`${name}/\``));
    const inside = Object.entries(rooms).flatMap(([name, arrows]) =>
      Object.keys(arrows).map((room) => `${name}/${room}`),
    );
    const missing = [...names, ...inside.map((name) => `\`${name}/\``)].filter(
      (name) => !guide.includes(`| ${name} |`),
    );
    expect(missing).toEqual([]);
  });

  it('need not follow worker addresses: each is next to the file that starts it', () => {
    const starts = sources
      .filter((file) => /\.tsx?$/.test(file))
      .flatMap(
        (file) => readFileSync(path.join(root, 'src', file), 'utf8').match(/new Worker\(new URL\([^)]*\)/g) ?? [],
      );
    expect(starts.length).toBeGreaterThan(0);
    for (const start of starts) expect(start).toMatch(/new URL\('\.\/[^/']+\.worker\.ts', import\.meta\.url\)/);
  });
});
