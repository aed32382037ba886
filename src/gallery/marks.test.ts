import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { galleryMarks } from './marks';

const src = join(import.meta.dirname, '..');
const shown = galleryMarks.flatMap(({ files }) => files);

describe('the gallery', () => {
  it('draws every mark', () => {
    const marks = readdirSync(join(src, 'marks')).filter((file) => !file.endsWith('.test.ts'));
    expect(marks.map((file) => `marks/${file}`).filter((file) => !shown.includes(file))).toEqual([]);
  });

  it('lists existing files and unique mark names', () => {
    expect(shown.filter((file) => !existsSync(join(src, file)))).toEqual([]);
    expect(new Set(galleryMarks.map(({ name }) => name)).size).toBe(galleryMarks.length);
  });
});
