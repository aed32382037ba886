import path from 'node:path';
import process from 'node:process';
import { defineConfig, mergeConfig } from 'vite';
import base from '../../vite.config';

const root = path.resolve(import.meta.dirname, '../..');

/** A test page for the product's inference code, built and served with the product's security policy and headers. */
export default mergeConfig(
  base,
  defineConfig({
    root: import.meta.dirname,
    publicDir: path.resolve(root, process.env.PATCHLIGHT_PUBLIC ?? 'public'),
    build: { outDir: path.resolve(root, '.cache/e2e-runtime'), emptyOutDir: true },
  }),
);
