// @ts-check
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createServer, preview } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pageHeaders } from './page-headers.mjs';

const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};
const policy = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};
const plugins = [pageHeaders(["default-src 'none'"])];
/** @type {string} */
let root;

beforeAll(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'patchlight-headers-'));
  mkdirSync(path.join(root, 'dist/assets'), { recursive: true });
  mkdirSync(path.join(root, 'public'));
  writeFileSync(path.join(root, 'index.html'), '<script type="module" src="/main.js"></script>');
  writeFileSync(path.join(root, 'main.js'), 'export const answer = 42;');
  writeFileSync(path.join(root, 'public/manifest.json'), '{}');
  writeFileSync(path.join(root, 'dist/index.html'), '<p>the page</p>');
  writeFileSync(path.join(root, 'dist/manifest.json'), '{}');
  writeFileSync(path.join(root, 'dist/assets/main-abc123.js'), 'export const answer = 42;');
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Requests a file, and requests it again as a browser does that has it in its cache. @param {string} url */
async function twice(url) {
  const first = await fetch(url);
  await first.text();
  const etag = first.headers.get('etag');
  expect(etag, `${url} has an ETag`).not.toBeNull();
  const again = await fetch(url, { headers: { 'If-None-Match': etag ?? '' } });
  expect([first.status, again.status]).toEqual([200, 304]);
  return /** @type {const} */ ([first, again]);
}

/** @param {Response} response */
const headersOf = ({ headers }) => Object.fromEntries(headers);

it('sends the headers with a preview’s files, also with a 304', async () => {
  const server = await preview({ root, configFile: false, plugins, logLevel: 'silent', preview: { port: 0 } });
  try {
    const [url] = server.resolvedUrls?.local ?? [];
    for (const [file, caching] of /** @type {const} */ ([
      ['manifest.json', 'no-cache'],
      ['assets/main-abc123.js', 'public, max-age=31536000, immutable'],
    ])) {
      const [first, again] = await twice(`${url}${file}`);
      for (const response of [first, again]) expect(headersOf(response)).toMatchObject({ ...isolation, ...policy });
      expect(first.headers.get('cache-control')).toBe(caching);
    }
    const missing = await fetch(`${url}assets/main-old999.js`);
    expect(missing.headers.get('cache-control')).not.toContain('immutable');
  } finally {
    await server.close();
  }
});

it('sends the isolation headers with a development server’s files, also with a 304', async () => {
  const server = await createServer({
    root,
    configFile: false,
    plugins,
    logLevel: 'silent',
    server: { port: 0, ws: false },
    optimizeDeps: { noDiscovery: true },
  });
  try {
    await server.listen();
    const [url] = server.resolvedUrls?.local ?? [];
    for (const file of ['main.js', 'manifest.json']) {
      for (const response of await twice(`${url}${file}`)) expect(headersOf(response)).toMatchObject(isolation);
    }
  } finally {
    await server.close();
  }
});
