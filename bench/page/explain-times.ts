// Measures how fast the embedded model explains a recorded run, using the page's own source and worker.
import type { MethodId } from '../../src/contract/methods';
import type { AnswerToken, RunHeader } from '../../src/contract/run';
import { createPictureClient } from '../../src/inference/picture-client';
import { createEmbeddedSource } from '../../src/source/embedded-source';
import { openRecorded } from '../../src/source/recorded-run';

export interface ExplainJob {
  /** Relative to the page's URL. */
  readonly modelUrl: string;
  readonly runUrl: string;
  readonly rounds: number;
}

export interface ExplainTimes {
  readonly tokens: number;
  /**
   * From the first request to its first map: loading files, creating a session, reading the answer, explaining a token.
   */
  readonly firstMapMs: number;
  /** FastRM's time per token while answering, one token at a time. */
  readonly fastrmMs: number;
  /** Time per token when explaining a complete answer, including the time to read it again; median of the rounds. */
  readonly tokenMs: Readonly<Partial<Record<MethodId, number>>>;
}

export async function measureExplain({ modelUrl, runUrl, rounds }: ExplainJob): Promise<ExplainTimes> {
  const { header, tokens } = await readRun(runUrl);
  const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
  await source.load();
  const signal = new AbortController().signal;
  const from = performance.now();
  let firstMapMs = Number.NaN;
  for await (const event of source.explain({ method: 'chefer', header, tokens, tokenIndices: [0] }, signal))
    if (event.type === 'map') firstMapMs = performance.now() - from;

  let requests = 0;
  /** Returns milliseconds per token. Varies the answer's length, because the worker caches recently read answers. */
  async function perTokenMs(method: MethodId): Promise<number> {
    const part = tokens.slice(0, tokens.length - (requests++ % 4));
    const tokenIndices = part.map(({ index }) => index);
    for await (const event of source.explain({ method, header, tokens: part, tokenIndices }, signal))
      if (event.type === 'end') return event.cost.ms / part.length;
    throw new Error(`the explanation by ${method} did not finish`);
  }

  const offered = source.offers(header).filter(({ method, refusal }) => refusal === undefined && method !== 'fastrm');
  const fastrm: number[] = [];
  const times = new Map<MethodId, number[]>(offered.map(({ method }) => [method, []]));
  // Alternate between methods, so that a temporarily busy machine slows all of them; ignore the first round.
  for (let round = 0; round <= rounds; round++) {
    const maps: number[] = [];
    for await (const event of source.ask({ image: header.image, text: header.question }, signal))
      if (event.type === 'map') maps.push(event.map.computeMs);
    if (round > 0) fastrm.push(median(maps));
    for (const [method, measured] of times) {
      const ms = await perTokenMs(method);
      if (round > 0) measured.push(ms);
    }
  }
  source.destroy();
  const tokenMs = Object.fromEntries(Array.from(times, ([method, measured]) => [method, median(measured)]));
  return { tokens: tokens.length, firstMapMs, fastrmMs: median(fastrm), tokenMs };
}

async function readRun(url: string): Promise<{ readonly header: RunHeader; readonly tokens: readonly AnswerToken[] }> {
  const tokens: AnswerToken[] = [];
  let header: RunHeader | undefined;
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  for await (const event of openRecorded(bytes, createPictureClient().read)) {
    if (event.type === 'begin') header = event.header;
    if (event.type === 'token') tokens.push(event.token);
  }
  if (header === undefined) throw new Error(`${url} has no header`);
  return { header, tokens };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
