import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from 'vite';

declare global {
  interface Window {
    /** Errors and warnings of the page and its workers. */
    pageLog?: string[];
  }
}

/** Reports what the page or a worker logs; both run this before their own code. */
const recorder = `{
  const channel = new BroadcastChannel('page-log');
  const report = (kind, text) => channel.postMessage(kind + ': ' + text);
  for (const kind of ['error', 'warn']) {
    const log = console[kind];
    console[kind] = (...all) => {
      report('console.' + kind, all.join(' '));
      log.apply(console, all);
    };
  }
  addEventListener('error', (event) => report('uncaught error', event.message || 'a resource failed to load'), true);
  addEventListener('unhandledrejection', ({ reason }) => report('unhandled rejection', String(reason)));
  addEventListener('securitypolicyviolation', ({ blockedURI, violatedDirective }) =>
    report('security policy', violatedDirective + ' blocked ' + blockedURI),
  );
}
`;
const inbox = `window.pageLog = [];
new BroadcastChannel('page-log').onmessage = ({ data }) => void window.pageLog.push(data);
`;

/** Records errors inside the page, because WebKit's driver does not pass on its console. */
export function pageLog(): Plugin {
  return {
    name: 'page-log',
    configurePreviewServer({ config, middlewares }) {
      const read = (file: string) => readFileSync(path.resolve(config.root, config.build.outDir, file), 'utf8');
      middlewares.use((request, response, next) => {
        const url = request.url?.split('?')[0] ?? '';
        const send = (type: string, text: string) => {
          response.setHeader('Content-Type', type);
          response.setHeader('Cache-Control', 'no-store');
          response.end(text);
        };
        if (url === '/') {
          return send('text/html', read('index.html').replace('<head>', '<head><script src="./page-log.js"></script>'));
        }
        if (url === '/page-log.js') return send('text/javascript', inbox + recorder);
        if (/^\/assets\/[\w.-]+\.worker-[\w-]+\.js$/.test(url))
          return send('text/javascript', recorder + read(url.slice(1)));
        next();
      });
    },
  };
}
