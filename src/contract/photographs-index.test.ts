import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseJpeg } from './jpeg-file';
import { parsePhotographsIndex } from './photographs-index';
import { sha256Hex } from './sha256';

const folder = new URL('../../public/photographs/', import.meta.url);
const data = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8'));
const photographs = parsePhotographsIndex(data);

test.each(photographs)(
  '$file has the size and hash in the index and at most 60,000 bytes',
  async ({ file, sha256, widthPx, heightPx }) => {
    const bytes = new Uint8Array(readFileSync(new URL(file, folder)));
    expect(parseJpeg(bytes)).toMatchObject({ image: { widthPx, heightPx } });
    expect(await sha256Hex(bytes)).toBe(sha256);
    expect(bytes.length).toBeLessThanOrEqual(60_000);
  },
);

test('each photograph in the folder is in the index, and credited with its author, licence and source', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jpg'));
  expect(files.sort()).toEqual(photographs.map(({ file }) => file).sort());
  const credits = readFileSync(new URL('CREDITS.md', folder), 'utf8').split('\n');
  for (const { file, author, licence, source } of photographs)
    expect(credits.find((line) => line.startsWith(`| ${file} |`))).toContain(
      `| ${author} | ${licence} | <${source}> |`,
    );
});

test('the first photograph’s questions include one that any model can read', () => {
  expect(photographs[0]?.questions).toContain('Describe the image.');
});

test('a field that is missing or invalid is named', () => {
  const [first] = data.photographs;
  expect(() => parsePhotographsIndex({ photographs: [{ ...first, author: undefined }] })).toThrow(/author/);
  expect(() => parsePhotographsIndex({ photographs: [{ ...first, source: 'javascript:alert(1)' }] })).toThrow(/source/);
});
