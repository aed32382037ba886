import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AnswerStates } from '../contract/answer-states';
import type { ModelManifest } from '../contract/manifest';
import { exampleExplainManifest, exampleHeadsManifest, exampleManifest } from '../contract/manifest.example';
import { methodIds } from '../contract/methods';
import type { RunHeader } from '../contract/run';
import { embeddedOffers } from './embedded-offers';
import { pictureOfHeader } from './picture.example';
import { openRecorded } from './recorded-run';
import type { SourceStatus } from './run-source';

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

function refusals(run: RunHeader, status: SourceStatus, manifest: ModelManifest | undefined, states?: AnswerStates) {
  const offers = embeddedOffers({ header: run, states, status, manifest });
  return Object.fromEntries(offers.map(({ method, refusal }) => [method, refusal]));
}

/** A manifest that matches this run's model. */
const own = () => ({ ...exampleExplainManifest(), name: header.model.name, revision: header.model.revision });

test("a recorded run of this model can be explained by every method except the companion's and heads it lacks", () => {
  const refusalByMethod = refusals(header, ready, own());
  expect(Object.keys(refusalByMethod)).toEqual([...methodIds]);
  const refused = methodIds.filter((method) => refusalByMethod[method] !== undefined);
  expect(refused).toEqual(['fastrm-paper', 'fastrm-plus', 'chefer-incremental']);
  expect(refusalByMethod['fastrm-paper']).toBe(`${header.model.name} was built without this head.`);
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

describe('heads besides FastRM’s', () => {
  const row = { values: new Float32Array(192), rows: 1, cols: 192 };
  const states = (attentionLogits?: Float32Array): AnswerStates => ({
    patches: { values: new Float32Array(576 * 192), rows: 576, cols: 192 },
    tokens: [{ query: row, attentionLogits }],
  });
  const withHeads = () => ({ ...exampleHeadsManifest(), name: header.model.name, revision: header.model.revision });
  const logits = new Float32Array(576);
  const weighed = () => ({ ...header, attentionLogitsOf: { name: 'fastrm-plus', revision: 'ab' } });

  test('are offered with their own thresholds if the states that they read are kept', () => {
    const offers = embeddedOffers({ header: weighed(), states: states(logits), status: ready, manifest: withHeads() });
    const heads = offers.filter(({ head }) => head !== undefined);
    expect(heads.map(({ method, refusal, head }) => [method, refusal, head?.classificationThreshold])).toEqual([
      ['fastrm-paper', undefined, 0.5],
      ['fastrm-plus', undefined, 0.35],
    ]);
    expect(heads[1]?.head, 'only the facts').not.toHaveProperty('weights');
  });

  test('are refused without hidden states', () => {
    const { 'fastrm-paper': paper, 'fastrm-plus': plus } = refusals(header, ready, withHeads());
    expect([paper, plus]).toEqual(
      new Array(2).fill('The hidden states of this answer were not kept; ask again to get maps of this head.'),
    );
  });

  test('that read attention are refused for runs that were recorded without it, or for another head', () => {
    const none = 'FastRM+ needs attention besides hidden states, and none was kept of this answer';
    expect(refusals(header, ready, withHeads(), states())['fastrm-plus']).toContain(none);
    expect(refusals(weighed(), ready, withHeads(), states())['fastrm-plus']).toContain(none);
    expect(refusals(header, ready, withHeads(), states())['fastrm-paper']).toBeUndefined();
    const former = { ...header, attentionLogitsOf: { name: 'fastrm-plus', revision: 'cd' } };
    expect(refusals(former, ready, withHeads(), states(logits))['fastrm-plus']).toContain(
      'was kept for FastRM+ head fastrm-plus cd; this page has fastrm-plus ab.',
    );
  });

  test('are refused for answers of another model, with both names', () => {
    const other = { ...weighed(), model: { ...header.model, revision: 'abc' } };
    expect(refusals(other, ready, withHeads(), states(logits))['fastrm-plus']).toContain('This answer is from');
    expect(refusals(weighed(), loading, undefined, states(logits))['fastrm-paper']).toContain('still loading');
  });
});
