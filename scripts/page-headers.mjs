// @ts-check
// The HTTP headers that the page needs from its server; docs/architecture.md lists them for other hosts.
import { statSync } from 'node:fs';
import path from 'node:path';

/** Cross-origin isolation: without it, onnxruntime-web runs on a single thread. */
const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** File names in `assets/` contain a hash of the content. */
const forever = 'public, max-age=31536000, immutable';

/**
 * Sends the headers with every response of `vite` and `vite preview`. Vite's own `headers` options leave them out of a
 * 304, and WebKit then refuses to start a cached worker: it takes the worker's policy from the 304.
 * @param {readonly string[]} policy directives of the content security policy; the development server works without it
 * @returns {import('vite').Plugin}
 */
export function pageHeaders(policy) {
  const previewHeaders = {
    ...isolationHeaders,
    // frame-ancestors works only in a header, and workers take their policy from their own response.
    'Content-Security-Policy': [...policy, "frame-ancestors 'none'"].join('; '),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  };
  return {
    name: 'page-headers',
    configureServer({ middlewares }) {
      middlewares.use((_request, response, next) => {
        response.setHeaders(new Map(Object.entries(isolationHeaders)));
        next();
      });
    },
    configurePreviewServer({ config, middlewares }) {
      const folder = path.resolve(config.root, config.build.outDir);
      middlewares.use((request, response, next) => {
        response.setHeaders(new Map(Object.entries(previewHeaders)));
        // A missing file is answered with the page, which must not be cached under the file's name.
        const asset = /^\/(assets\/[\w.-]+)$/.exec(request.url ?? '')?.[1];
        if (asset !== undefined && statSync(path.join(folder, asset), { throwIfNoEntry: false })?.isFile())
          response.setHeader('Cache-Control', forever);
        next();
      });
    },
  };
}
