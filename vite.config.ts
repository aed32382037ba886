import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defaultClientConditions, type Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { pageHeaders } from './scripts/page-headers.mjs';

/**
 * Exact text of the two <style> elements that react-aria adds at run time. If it changes, e2e tests see a console
 * error.
 */
const reactAriaStyles = [
  '@layer {\n  [data-react-aria-pressable] {\n    touch-action: pan-x pan-y pinch-zoom;\n  }\n}',
  '@layer {\n  * {\n    overscroll-behavior: contain;\n  }\n}',
];

const sha256Source = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** React sets styles through the CSSOM, which needs no 'unsafe-inline'. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  `style-src 'self' ${reactAriaStyles.map(sha256Source).join(' ')}`,
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];

/** Writes the policy into the built page, so that it applies on any static host. */
function contentSecurityPolicy(): Plugin {
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: policy.join('; ') },
        injectTo: 'head-prepend',
      },
    ],
  };
}

/** Packages that only workers import: the generated list of licences covers only the page's modules. */
const workerPackages = [
  'onnxruntime-web',
  'onnxruntime-common',
  'hyparquet',
  'hyparquet-compressors',
  'hysnappy',
  'fzstd',
  '@jsquash/webp',
];

function licenceOf(name: string): string {
  const folder = `node_modules/${name}`;
  if (name === '@jsquash/webp') {
    const [wrapper, codec] = ['LICENSE', 'codec/LICENSE.codec.md'].map((file) =>
      readFileSync(`${folder}/${file}`, 'utf8'),
    );
    return `${wrapper}\nIt contains libwebp:\n\n${codec}`;
  }
  if (!name.startsWith('onnx')) return readFileSync(`${folder}/LICENSE`, 'utf8');
  // onnxruntime's packages ship without a licence text, so the standard MIT text is used.
  const permission = readFileSync('node_modules/react/LICENSE', 'utf8').split('\n\n').slice(2).join('\n\n');
  return `Copyright (c) Microsoft Corporation\n\n${permission}`;
}

/** Copies the page's licence into its folder, and adds the workers' packages to the list of licences. */
function licences(): Plugin {
  let folder = '';
  return {
    name: 'licences',
    apply: 'build',
    configResolved({ build }) {
      folder = build.outDir;
    },
    writeBundle() {
      copyFileSync('LICENSE', `${folder}/LICENSE`);
      for (const name of workerPackages) {
        const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'));
        appendFileSync(`${folder}/licences.md`, `\n## ${name} - ${version} (${license})\n\n${licenceOf(name)}`);
      }
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [react(), pageHeaders(policy), contentSecurityPolicy(), licences()],
  worker: {
    format: 'es',
    rolldownOptions: {
      // Keeps each worker's entry down to an import, because lazily imported chunks share code with it. If they imported
      // the entry itself, WebKit would run it a second time, and two services would answer each message.
      output: {
        codeSplitting: {
          groups: [{ name: 'worker-code', tags: ['$initial'], test: (id) => !/\.worker\.ts$/.test(id) }],
        },
      },
    },
  },
  // These load their wasm files by relative URL, which pre-bundling would break.
  optimizeDeps: { exclude: ['onnxruntime-web', '@jsquash/webp'] },
  // Use the builds without embedded glue code: threads start from a separate glue file.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  build: {
    target: 'es2023',
    modulePreload: { polyfill: false },
    manifest: true,
    // Lists the bundled packages with their licences.
    license: { fileName: 'licences.md' },
    // Only small images become data: URLs; scripts, wasm and fonts stay files on the page's origin.
    assetsInlineLimit: (file) => (/\.(svg|png|webp)$/.test(file) ? undefined : false),
    chunkSizeWarningLimit: 1000,
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.{ts,tsx}', 'scripts/**/*.test.mjs'],
    exclude: ['bench/**', 'e2e/**', 'node_modules/**', 'dist/**'],
    maxWorkers: 2,
    // Statistics of a million answers take a while on a busy machine.
    testTimeout: 180_000,
  },
});
