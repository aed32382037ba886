// @ts-check
// The output of `npm test` while steps run in parallel: each step's complete output when it ends, and until then one
// progress line. The output of a single step is printed immediately.

/**
 * @typedef {object} StepLogOptions
 * @property {(text: string) => void} write
 * @property {boolean} isTerminal rewrites the progress line; a file or a CI log gets a new line every 30 s
 * @property {boolean} isSingle
 * @property {() => number} [nowMs]
 */

/** @typedef {{ startMs: number, output: string }} Running */

const everyMs = { terminal: 1000, file: 30_000 };
const lineWidth = 118;

/** @param {StepLogOptions} options */
export function createStepLog({ write, isTerminal, isSingle, nowMs = () => performance.now() }) {
  /** @type {Map<string, Running>} */
  const running = new Map();
  const clear = isTerminal && !isSingle ? '\r\u001b[K' : '';

  const showProgress = () => {
    if (running.size === 0) return;
    const line = progressLine(running, nowMs());
    write(isTerminal ? `${clear}${line}` : `${line}\n`);
  };
  const timer = isSingle ? undefined : setInterval(showProgress, isTerminal ? everyMs.terminal : everyMs.file);
  timer?.unref();

  return {
    showProgress,

    /** @param {string} name */
    start(name) {
      running.set(name, { startMs: nowMs(), output: '' });
      if (isSingle) write(`\n── ${name}\n`);
    },

    /** @param {string} name @param {string} text */
    output(name, text) {
      if (isSingle) return write(text);
      const step = running.get(name);
      if (step !== undefined) step.output += text;
    },

    /** @param {import('./schedule.mjs').Result} result */
    end({ name, durationMs, failure }) {
      const output = running.get(name)?.output ?? '';
      running.delete(name);
      const how = failure === undefined ? 'passed' : `FAILED: ${failure}`;
      const heading = isSingle ? '' : `${clear}\n── ${name}\n${endLine(output)}`;
      write(`${heading}${how}  ${formatSeconds(durationMs)}\n`);
    },

    destroy() {
      clearInterval(timer);
    },
  };
}

/** @param {ReadonlyMap<string, Running>} running @param {number} nowMs */
function progressLine(running, nowMs) {
  const steps = [...running].map(([name, { startMs, output }]) => {
    const step = `${name} ${formatSeconds(nowMs - startMs)}`;
    const lastLine = lastLineOf(output);
    return lastLine === '' ? step : `${step} (${lastLine})`;
  });
  const share = Math.max(24, Math.floor((lineWidth - 3 * steps.length) / steps.length));
  return `… ${steps.map((step) => (step.length > share ? `${step.slice(0, share - 1)}…` : step)).join(' | ')}`;
}

/** The last non-empty line, without colour codes. @param {string} output */
function lastLineOf(output) {
  const end = output.slice(-1000);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes start with one
  const lines = end.replaceAll(/\u001b\[[\d;]*[A-Za-z]/g, '').split(/[\r\n]+/);
  return lines.findLast((line) => line.trim() !== '')?.trim() ?? '';
}

/** @param {string} text */
const endLine = (text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

/** @param {number} ms */
export const formatSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
