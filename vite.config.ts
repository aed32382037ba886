import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defaultClientConditions, type Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Cross-origin isolation: onnxruntime-web runs on several threads only where these are sent. Without them it runs on one. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** The two <style> elements that react-aria adds at run time, letter for letter; a new text shows as a console error in e2e. */
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

/** Writes the policy into the built page, so that it holds on any static host. */
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

/** Packages that only a worker imports: the list of licences is made of the page's own modules. */
const workerPackages = ['onnxruntime-web', 'onnxruntime-common'];

/** The page's own licence beside it, and the workers' packages in the list of the others'. */
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
      // Their packages come without the text; it is the same for all that are under it.
      const permission = readFileSync('node_modules/react/LICENSE', 'utf8').split('\n\n').slice(2).join('\n\n');
      for (const name of workerPackages) {
        const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'));
        appendFileSync(
          `${folder}/licences.md`,
          `\n## ${name} - ${version} (${license})\n\nCopyright (c) Microsoft Corporation\n\n${permission}`,
        );
      }
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [react(), contentSecurityPolicy(), licences()],
  server: { headers: isolationHeaders },
  preview: {
    headers: {
      ...isolationHeaders,
      // frame-ancestors is only obeyed in a header, and workers take their policy from their own response.
      'Content-Security-Policy': [...policy, "frame-ancestors 'none'"].join('; '),
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    },
  },
  worker: { format: 'es' },
  // Its wasm and mjs are found beside it by URL; pre-bundling would move it away from them.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  // Its builds without the glue inside: that is a file of its own, which its threads start from.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  build: {
    target: 'es2023',
    modulePreload: { polyfill: false },
    manifest: true,
    // What the page is built from, with the terms under which it is passed on.
    license: { fileName: 'licences.md' },
    // Only small pictures become data: URLs; scripts, wasm and fonts stay files of their own origin.
    assetsInlineLimit: (file) => (/\.(svg|png|webp)$/.test(file) ? undefined : false),
    chunkSizeWarningLimit: 1000,
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.{ts,tsx}', 'scripts/**/*.test.mjs'],
    exclude: ['bench/**', 'e2e/**', 'node_modules/**', 'dist/**'],
    maxWorkers: 2,
    // Ten thousand answers' statistics take seconds on a busy machine.
    testTimeout: 180_000,
  },
});
