import { describe, expect, it } from 'vitest';
import { quoted, quotedList, signOf, visibleText } from './visible-text';

describe('the text as a reader sees it', () => {
  it.each([
    ['zero-width space', 'a\u200bb'],
    ['byte order mark', '\ufeffab'],
    ['soft hyphen', 'a\u00adb'],
    ['direction marks', '\u200ea\u202eb\u2069'],
    ['variation selectors', 'a\ufe0fb\u{e0100}'],
    ['joiners', 'a\u200db\u2060'],
    ['fillers', 'a\u115fb\u3164'],
    ['control characters', 'a\u0007b\u001b\u007f'],
    ['tag characters', 'a\u{e0041}b'],
  ])('leaves out %s', (_, text) => {
    expect(visibleText(text)).toBe('ab');
  });

  it('shows each kind of space as a plain space, and composes characters', () => {
    expect(visibleText('a\u00a0b\u3000c\td\r\ne\u0085f')).toBe('a b c d  e f');
    expect(visibleText('cafe\u0301')).toBe('caf\u00e9');
  });
});

describe('quoting', () => {
  it('names invisible characters', () => {
    expect(quoted('\u200b')).toBe('“[U+200B]”');
    expect(quoted('a\u0000b\u{e0100}')).toBe('“a[U+0000]b[U+E0100]”');
  });

  it('shortens a long text between characters', () => {
    expect(quoted('😀'.repeat(50))).toBe(`“${'😀'.repeat(39)}…”`);
    expect(quoted('x'.repeat(40))).toBe(`“${'x'.repeat(40)}”`);
  });

  it('lists a few and counts the rest', () => {
    expect(quotedList(['a'])).toBe('“a”');
    expect(quotedList(['a', 'b', 'c'])).toBe('“a”, “b” and “c”');
    expect(quotedList(Array.from('abcdefghij'))).toBe('“a”, “b”, “c”, “d”, “e”, “f”, “g”, “h” and 2 more');
  });
});

describe('the sign of a token', () => {
  it('names a token that shows nothing, and no other', () => {
    expect(signOf('\n')?.name).toBe('line break');
    expect(signOf(' ')?.name).toBe('space');
    expect(signOf('')?.name).toBe('part of a character');
    expect(signOf(' red')).toBeUndefined();
  });
});
