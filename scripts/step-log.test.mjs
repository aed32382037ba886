// @ts-check
import { expect, it } from 'vitest';
import { createStepLog } from './step-log.mjs';

/** @param {{ isTerminal?: boolean, isSingle?: boolean }} [how] */
function openLog({ isTerminal = false, isSingle = false } = {}) {
  const printed = { text: '' };
  let nowMs = 0;
  const log = createStepLog({
    write: (text) => {
      printed.text += text;
    },
    isTerminal,
    isSingle,
    nowMs: () => nowMs,
  });
  return {
    log,
    printed,
    /** @param {number} ms */
    wait: (ms) => {
      nowMs += ms;
    },
  };
}

it('prints the output of parallel steps separately, each when it ends', () => {
  const { log, printed } = openLog();
  log.start('lint');
  log.start('types');
  log.output('lint', 'first\n');
  log.output('types', 'second\n');
  log.output('lint', 'third');
  log.end({ name: 'types', durationMs: 1500 });
  log.end({ name: 'lint', durationMs: 2000, failure: 'biome exited with 1' });
  log.destroy();
  expect(printed.text).toBe(
    '\n── types\nsecond\npassed  1.5 s\n\n── lint\nfirst\nthird\nFAILED: biome exited with 1  2.0 s\n',
  );
});

it('shows the running steps in one line, with duration and last output', () => {
  const { log, printed, wait } = openLog();
  log.start('pytest');
  log.start('tsc');
  wait(2000);
  log.output('pytest', '\u001b[32m....\u001b[0m [ 50%]\n');
  log.output('pytest', '\n');
  log.showProgress();
  log.destroy();
  expect(printed.text).toBe('… pytest 2.0 s (.... [ 50%]) | tsc 2.0 s\n');
});

it('keeps the progress line short, and rewrites it in a terminal', () => {
  const { log, printed } = openLog({ isTerminal: true });
  log.start('e2e');
  log.output('e2e', 'x'.repeat(500));
  log.showProgress();
  log.showProgress();
  log.destroy();
  const [, first, second] = printed.text.split('\r\u001b[K');
  expect(first).toBe(second);
  expect(first?.length).toBeLessThan(120);
  expect(printed.text).not.toContain('\n');
});

it('prints the output of a single step immediately', () => {
  const { log, printed } = openLog({ isSingle: true });
  log.start('tsc');
  log.output('tsc', 'one fault\n');
  expect(printed.text).toBe('\n── tsc\none fault\n');
  log.end({ name: 'tsc', durationMs: 10 });
  log.destroy();
  expect(printed.text).toBe('\n── tsc\none fault\npassed  0.0 s\n');
});
