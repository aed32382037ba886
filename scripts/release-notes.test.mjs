// @ts-check
import { describe, expect, it } from 'vitest';
import { releasedVersion, releaseNotes } from './release-notes.mjs';

const changelog = `# Changelog

## 0.2.0, unreleased

- New.

## 0.1.0, 2026-12-01

- First.

- Second.
`;

describe('releaseNotes', () => {
  it('returns the lines under the heading of that version', () => {
    expect(releaseNotes(changelog, '0.1.0')).toBe('- First.\n\n- Second.\n');
  });

  it('refuses a version without a date', () => {
    expect(() => releaseNotes(changelog, '0.2.0')).toThrow('found "## 0.2.0, unreleased"');
  });

  it('refuses a version that the changelog does not have', () => {
    expect(() => releaseNotes(changelog, '0.1')).toThrow('no heading "## 0.1"');
  });
});

describe('releasedVersion', () => {
  it('is the tag without its v', () => {
    expect(releasedVersion('v0.1.0', { 'package.json': '0.1.0' })).toBe('0.1.0');
  });

  it('refuses a tag that a file contradicts, naming the file', () => {
    const versions = { 'package.json': '0.1.0', 'companion/pyproject.toml': '0.2.0' };
    expect(() => releasedVersion('v0.1.0', versions)).toThrow('companion/pyproject.toml has 0.2.0');
  });

  it('refuses a tag that is not a version', () => {
    expect(() => releasedVersion('0.1.0', {})).toThrow('expected v1.2.3');
  });
});
