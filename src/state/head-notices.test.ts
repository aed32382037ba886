import { afterEach, expect, it, vi } from 'vitest';
import type { NoHead, RunHeader } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import { dismissHeadNotice, noticeText, selectShowsNotice, useHeadNotices } from './head-notices';

const absent: NoHead = { kind: 'absent', reason: 'No head.' };
const header = (id: string, noHead?: NoHead, name = 'm'): RunHeader => ({
  ...exampleHeader,
  id,
  model: { ...exampleHeader.model, name },
  ...(noHead && { noHead }),
});
const runs = [header('recorded'), header('1', absent), header('2', absent), header('3', absent, 'other')].map(
  (one) => ({
    header: one,
  }),
);
const shown = () =>
  runs.filter((run) => selectShowsNotice(useHeadNotices.getState(), run.header, runs)).map((run) => run.header.id);

afterEach(() => {
  useHeadNotices.setState({ dismissed: [] });
  vi.unstubAllGlobals();
});

it('mentions a missing head with the first answer of each model, until it is dismissed', () => {
  const stored = new Map<string, string>();
  vi.stubGlobal('localStorage', { setItem: (key: string, value: string) => stored.set(key, value) });
  expect(shown()).toEqual(['1', '3']);
  dismissHeadNotice(header('1', absent));
  expect(shown()).toEqual(['3']);
  expect([...stored.values()]).toEqual(['["m r1"]']);
});

it('reports a head that could not be used with every answer', () => {
  const unusable: NoHead = { kind: 'unusable', reason: 'The head does not fit.' };
  dismissHeadNotice(header('1', absent));
  for (const id of ['1', '2']) {
    expect(selectShowsNotice(useHeadNotices.getState(), header(id, unusable), runs)).toBe(true);
  }
});

it('can be dismissed where the browser blocks storage', () => {
  vi.stubGlobal('localStorage', undefined);
  dismissHeadNotice(header('1', absent));
  expect(shown()).toEqual(['3']);
});

it('says that TAM is the default without a head, but not where it is computed or that the map on screen is by TAM', () => {
  const tam = { method: 'tam', refusal: undefined, canExplain: true } as const;
  const unusable: NoHead = { kind: 'unusable', reason: 'The FastRM head could not be used: 404.' };
  expect(noticeText(absent, [tam])).toBe('No head. Without a head, the page shows TAM by default.');
  expect(noticeText(unusable, [tam])).toBe(
    'The FastRM head could not be used: 404. Without a usable head, the page shows TAM by default.',
  );
  expect(noticeText(absent, [{ ...tam, refusal: 'This model does not offer this method.' }])).toBe('No head.');
  expect(noticeText(absent, [])).toBe('No head.');
});
