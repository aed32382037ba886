// @ts-check
// Generates TypeScript types of the companion's API from its OpenAPI description.
//   node scripts/api-types.mjs            writes src/contract/companion-api.ts
//   node scripts/api-types.mjs --check    fails if that file is out of date
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { root } from './shell.mjs';

const from = path.join(root, 'companion/openapi.json');
const to = path.join(root, 'src/contract/companion-api.ts');

const notice = '// Generated from companion/openapi.json by `npm run api-types`; not written by hand.\n\n';
const options = { alphabetize: true, defaultNonNullable: false };
const expected = notice + astToString(await openapiTypescript(pathToFileURL(from), options));

if (process.argv.includes('--check')) {
  const actual = readFileSync(to, 'utf8');
  if (actual !== expected) {
    console.error('src/contract/companion-api.ts differs from companion/openapi.json: run npm run api-types');
    process.exitCode = 1;
  }
} else {
  writeFileSync(to, expected);
}
