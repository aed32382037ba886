import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { exampleExplainManifest, exampleManifest } from '../contract/manifest.example';
import { methodIds } from '../contract/methods';
import type { RunHeader } from '../contract/run';
import { embeddedOffers } from './embedded-offers';
import { pictureOfHeader } from './picture.example';
import { openRecorded } from './recorded-run';

const loading = { phase: 'loading', loadedBytes: 0, totalBytes: 1, what: 'the model' } as const;
const ready = { phase: 'ready', backend: 'wasm' } as const;

let header: RunHeader;

beforeAll(async () => {
  const bytes = new Uint8Array(readFileSync(new URL('../../public/samples/run-1.run', import.meta.url)));
  for await (const event of openRecorded(bytes, pictureOfHeader)) {
    if (event.type !== 'begin') continue;
    header = event.header;
    break;
  }
});

function refusals(
  run: RunHeader,
  ...more: [Parameters<typeof embeddedOffers>[1], Parameters<typeof embeddedOffers>[2]]
) {
  return Object.fromEntries(embeddedOffers(run, ...more).map(({ method, refusal }) => [method, refusal]));
}

/** A manifest that matches this run's model. */
const own = () => ({ ...exampleExplainManifest(), name: header.model.name, revision: header.model.revision });

test("a recorded run of this model can be explained by every method except the companion's", () => {
  const refusalByMethod = refusals(header, ready, own());
  expect(Object.keys(refusalByMethod)).toEqual([...methodIds]);
  const refused = methodIds.filter((method) => refusalByMethod[method] !== undefined);
  expect(refused).toEqual(['chefer-incremental']);
  expect(refusalByMethod['chefer-incremental']).toBe('Chefer, incremental is computed by the companion only.');
});

test("another model's run is refused with both names and revisions", () => {
  const other = { ...header, model: { ...header.model, name: 'llava', revision: 'abc' } };
  const { chefer, random, fastrm } = refusals(other, ready, own());
  expect(chefer).toBe(
    `This answer is from llava abc; the model in this page is ${header.model.name} ${header.model.revision}.`,
  );
  expect([random, fastrm]).toEqual([undefined, undefined]);
});

test('before the model is loaded, the refusal says whether to wait', () => {
  expect(refusals(header, loading, undefined).chefer).toContain('still loading');
  expect(refusals(header, { phase: 'failed', reason: '' }, undefined).chefer).toContain('could not be loaded');
});

test('a model without explain graphs and a run without a head are refused with the reason', () => {
  const { name, revision } = header.model;
  expect(refusals(header, ready, { ...exampleManifest(), name, revision }).tam).toContain('built without graphs');
  const { head: _, ...rest } = header;
  const bare = { ...rest, head: undefined };
  expect(refusals(bare, ready, own()).fastrm).toBe('This answer has no FastRM maps.');
  expect(refusals({ ...bare, noHead: { kind: 'absent', reason: 'No head was found.' } }, ready, own()).fastrm).toBe(
    'No head was found.',
  );
});
