// A real companion for the browser tests: `patchlight serve` on the embedded model's Hugging Face folder, and the page
// that it serves. Each is a process that the test may freeze and kill.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../scripts/shell.mjs';

/** From the repository's root, where companions are started. */
const modelFolder = 'models/patchlight-scenes';

export interface Companion {
  /** Where its page is, with the token that it wants. */
  readonly address: string;
  readonly origin: string;
  readonly port: number;
  /** As the machine does it when memory runs out: nothing is said to anybody. */
  kill(): Promise<void>;
  /** Alive and mute, like a line that hangs. */
  freeze(): void;
  thaw(): void;
}

interface Start {
  readonly model?: string;
  readonly port?: number;
  /** Each token takes 80 ms, so that a test finds an answer in its middle on any machine. */
  readonly isSlow?: boolean;
  readonly arguments?: readonly string[];
}

const startMs = 180_000;

export async function startCompanion({
  model = modelFolder,
  port,
  isSlow = false,
  arguments: more = [],
}: Start = {}): Promise<Companion> {
  const own = port ?? (await freePort());
  const python = path.join(root, '.venv', process.platform === 'win32' ? 'Scripts' : 'bin', 'python');
  const entry = isSlow ? ['e2e/slow_companion.py'] : ['-m', 'patchlight'];
  const command = [...entry, 'serve', '--model', model, '--device', 'cpu', '--port', String(own)];
  const child = spawn(python, [...command, '--page', path.join(root, 'dist'), ...more], {
    cwd: root,
    // This tree's package, whatever the environment has installed; one thread, as the tests' other half computes too.
    env: { ...process.env, PYTHONPATH: path.join(root, 'companion/src'), OMP_NUM_THREADS: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let said = '';
  const address = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no companion in ${startMs} ms:\n${said}`)), startMs);
    const hear = (text: Buffer) => {
      said += text;
      const match = /Patchlight is at (\S+)/.exec(said);
      if (match?.[1] === undefined) return;
      clearTimeout(timer);
      resolve(match[1]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void ended.then(() => reject(new Error(`the companion ended:\n${said}`)));
  });
  return {
    address,
    origin: new URL(address).origin,
    port: own,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
  };
}

/** The embedded model's folder without its head. */
export function headlessFolder(): string {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'patchlight-no-head-')), 'patchlight-scenes');
  cpSync(path.join(root, modelFolder), folder, { recursive: true, filter: (from) => path.basename(from) !== 'fastrm' });
  return folder;
}

/** One that the same companion can be started on again. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
