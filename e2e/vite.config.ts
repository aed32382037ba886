import { readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig, mergeConfig, type Plugin } from 'vite';
import base from '../vite.config.ts';

/**
 * Makes workers see a single core. onnxruntime's threads busy-wait for each other, which would use up most of the CPU
 * time when tests run in parallel. Multithreading is tested in runtime.spec.ts.
 */
function oneThread(): Plugin {
  const prefix = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 1 });\n";
  return {
    name: 'one-thread',
    configurePreviewServer({ config, middlewares }) {
      middlewares.use((request, response, next) => {
        const file = /^\/(assets\/[\w.-]+\.worker-[\w-]+\.js)$/.exec(request.url ?? '')?.[1];
        if (file === undefined) return next();
        response.setHeader('Content-Type', 'text/javascript');
        response.end(prefix + readFileSync(path.resolve(config.root, config.build.outDir, file), 'utf8'));
      });
    },
  };
}

export default mergeConfig(base, defineConfig({ plugins: [oneThread()] }));
