// Starts real companions for the browser tests: `patchlight serve` with the embedded model's Hugging Face folder and the
// built page. Each is a process that the test may freeze and kill.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../scripts/free-port.mjs';
import { installedPython } from '../scripts/python.mjs';
import { root } from '../scripts/shell.mjs';

/** Relative to the repository's root, where companions are started. */
const modelFolder = 'models/patchlight-scenes';

export interface Companion {
  /** URL of the companion's page, including the token. */
  readonly address: string;
  readonly origin: string;
  readonly port: number;
  /** Kills the process without warning, as the system does when memory runs out. */
  kill(): Promise<void>;
  /** Suspends the process: connections stay open, but nothing arrives. */
  freeze(): void;
  thaw(): void;
}

interface Start {
  readonly model?: string;
  readonly port?: number;
  /** Delays each token by 80 ms, so that tests can act mid-answer on any machine. */
  readonly isSlow?: boolean;
  readonly arguments?: readonly string[];
}

const startTimeoutMs = 180_000;

export async function startCompanion({
  model = modelFolder,
  port,
  isSlow = false,
  arguments: extra = [],
}: Start = {}): Promise<Companion> {
  const chosenPort = port ?? (await freePort());
  const entry = isSlow ? ['e2e/slow_companion.py'] : ['-m', 'patchlight'];
  const command = [...entry, 'serve', '--model', model, '--device', 'cpu', '--no-open', '--port', String(chosenPort)];
  const child = spawn(installedPython(), [...command, '--page', path.join(root, 'dist'), ...extra], {
    cwd: root,
    // Use this checkout's package instead of an installed one, and a single thread, because the browser needs the other cores.
    // No head in the developer's own cache counts.
    env: {
      ...process.env,
      PYTHONPATH: path.join(root, 'companion/src'),
      OMP_NUM_THREADS: '1',
      PATCHLIGHT_HEADS: mkdtempSync(path.join(tmpdir(), 'patchlight-heads-')),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let output = '';
  const address = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the companion did not start within ${startTimeoutMs} ms:\n${output}`)),
      startTimeoutMs,
    );
    const onOutput = (text: Buffer) => {
      output += text;
      const match = /Patchlight is at (\S+)/.exec(output);
      if (match?.[1] === undefined) return;
      clearTimeout(timer);
      resolve(match[1]);
    };
    child.stdout.on('data', onOutput);
    child.stderr.on('data', onOutput);
    void exited.then(() => reject(new Error(`the companion exited:\n${output}`)));
  });
  return {
    address,
    origin: new URL(address).origin,
    port: chosenPort,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
  };
}

/** Copies the embedded model's folder, leaving out the head. */
export function headlessFolder(): string {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'patchlight-no-head-')), 'patchlight-scenes');
  cpSync(path.join(root, modelFolder), folder, {
    recursive: true,
    filter: (source) => path.basename(source) !== 'fastrm',
  });
  return folder;
}

/**
 * Copies the embedded model's folder as a model of its own: without the head, with one slightly different weight, and
 * without the list of words that questions may use.
 */
export function otherModelFolder(): string {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'patchlight-other-')), 'tiny-vision-model');
  cpSync(headlessFolder(), folder, { recursive: true });
  rmSync(path.join(folder, 'question_words.json'));
  const file = path.join(folder, 'model.safetensors');
  const bytes = readFileSync(file);
  const firstValue = 8 + Number(bytes.readBigUInt64LE(0));
  bytes[firstValue]! ^= 1; // the lowest bit of its mantissa
  writeFileSync(file, bytes);
  return folder;
}

/** Saves a tiny model with random weights, of a kind that companion/tests/helpers/tiny_models.py lists. */
export function tinyFolder(kind: string): string {
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'patchlight-tiny-')), kind);
  const program = [
    'import sys',
    'from pathlib import Path',
    'from tests.helpers.tiny_models import save, tiny',
    'save(tiny(sys.argv[1]), Path(sys.argv[2]))',
  ].join('\n');
  const tests = path.join(root, 'companion');
  const env = { ...process.env, PYTHONPATH: [tests, path.join(tests, 'src')].join(path.delimiter) };
  execFileSync(installedPython(), ['-c', program, kind, folder], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return folder;
}
