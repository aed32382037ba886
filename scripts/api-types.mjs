// @ts-check
// The companion's API as TypeScript types, generated from the description that the companion writes of itself.
//   node scripts/api-types.mjs            writes src/contract/companion-api.ts
//   node scripts/api-types.mjs --check    fails where that file is not what would be written
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
const wanted = notice + astToString(await openapiTypescript(pathToFileURL(from), options));

if (process.argv.includes('--check')) {
  const found = readFileSync(to, 'utf8');
  if (found !== wanted) {
    console.error('src/contract/companion-api.ts is not what companion/openapi.json says: npm run api-types');
    process.exitCode = 1;
  }
} else {
  writeFileSync(to, wanted);
}
