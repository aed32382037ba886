// @ts-check
// Prints the notes of a release from CHANGELOG.md:
//   node scripts/release-notes.mjs v0.1.0
// Fails unless the tag, package.json and companion/pyproject.toml have the same version and the changelog has its date.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { root } from './shell.mjs';

/**
 * @param {string} changelog Markdown with one heading per version: `## 0.1.0, 2026-12-01`, or `## 0.1.0, unreleased`
 * @param {string} version
 * @returns {string} the lines under the version's heading
 */
export function releaseNotes(changelog, version) {
  const [, ...sections] = changelog.split(/^## /m);
  const section = sections.find((each) => /^\S+?(?=,|\s)/.exec(each)?.[0] === version);
  if (section === undefined) throw new Error(`CHANGELOG.md has no heading "## ${version}"`);
  const [heading = '', ...lines] = section.split('\n');
  if (!/, \d{4}-\d{2}-\d{2}$/.test(heading)) {
    throw new Error(`CHANGELOG.md: expected "## ${version}, YYYY-MM-DD", found "## ${heading}"`);
  }
  return `${lines.join('\n').trim()}\n`;
}

/**
 * @param {string} tag
 * @param {Record<string, string | undefined>} versions the version in each file
 * @returns {string} the common version
 */
export function releasedVersion(tag, versions) {
  if (!tag.startsWith('v')) throw new Error(`${tag} is not a version tag: expected v1.2.3`);
  const version = tag.slice(1);
  const others = Object.entries(versions).filter(([, other]) => other !== version);
  if (others.length > 0) {
    throw new Error(`the tag is ${tag}, but ${others.map(([file, other]) => `${file} has ${other}`).join(', ')}`);
  }
  return version;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  /** @param {string} file */
  const read = (file) => readFileSync(path.join(root, file), 'utf8');
  const [tag] = process.argv.slice(2);
  if (tag === undefined) throw new Error('missing tag; usage: node scripts/release-notes.mjs v0.1.0');
  const version = releasedVersion(tag, {
    'package.json': JSON.parse(read('package.json')).version,
    'companion/pyproject.toml': /^version = "(.+)"$/m.exec(read('companion/pyproject.toml'))?.[1],
  });
  process.stdout.write(releaseNotes(read('CHANGELOG.md'), version));
}
