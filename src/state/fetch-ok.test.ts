import { afterEach, expect, it, vi } from 'vitest';
import { fetchIfAny, fetchOk } from './fetch-ok';

afterEach(() => vi.unstubAllGlobals());

const answer = (body: string, status: number, type: string) =>
  vi.stubGlobal('fetch', async () => new Response(body, { status, headers: { 'content-type': type } }));

it('a file that need not exist is missing if the server says so, or answers with the page', async () => {
  answer('{}', 200, 'application/json');
  expect(await (await fetchIfAny('a.json'))?.json()).toEqual({});
  answer('', 404, 'text/plain');
  expect(await fetchIfAny('a.json')).toBeUndefined();
  answer('<!doctype html>', 200, 'text/html; charset=utf-8');
  expect(await fetchIfAny('a.json')).toBeUndefined();
});

it('any other status is an error that names the file', async () => {
  answer('', 500, 'text/html');
  await expect(fetchIfAny('a.json')).rejects.toThrow('a.json: 500');
  answer('', 404, 'text/plain');
  await expect(fetchOk('b.json')).rejects.toThrow('b.json: 404');
});
