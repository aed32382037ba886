import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../math/random';
import { macrotask } from '../workers/macrotask';
import type { Distribution, Filtered, FilterRequest, LoadedCalibration, RowsPage } from './api';
import type { Questions, QuestionType, StatisticsReply, StatisticsRequest } from './messages';
import { createStatisticsService } from './statistics-service';

/** The service as the page has it, without a worker between. */
function createPage() {
  const replies = new Map<number, (reply: StatisticsReply) => void>();
  const service = createStatisticsService((reply) => replies.get(reply.id)?.(reply));
  let lastId = 0;
  function send<Type extends QuestionType>(type: Type, asked: Questions[Type]['asks'], key?: string) {
    lastId += 1;
    const id = lastId;
    return new Promise<StatisticsReply>((resolve) => {
      replies.set(id, resolve);
      service.receive({ type, id, key, asked } as StatisticsRequest);
    });
  }
  async function ask<Type extends QuestionType>(type: Type, asked: Questions[Type]['asks']) {
    const reply = await send(type, asked);
    if (reply.type === 'failed') throw new Error(reply.reason);
    if (reply.type === 'superseded') throw new Error('superseded');
    return reply.answer as Questions[Type]['answers'];
  }
  const loadText = (text: string, table = 1) =>
    ask('load', {
      table,
      name: 'table.csv',
      bytes: new TextEncoder().encode(text).buffer,
    }) as Promise<LoadedCalibration>;
  return { send, ask, loadText };
}

const fixture = (): ArrayBuffer => {
  const file = readFileSync(join(import.meta.dirname, '../contract/fixtures/calibration.arrow'));
  return new Uint8Array(file).buffer;
};

const { unit } = createRandom(6);
const bell = () => unit() + unit() + unit() + unit() - 2;
/** Wrong answers lie higher. */
const answers = Array.from({ length: 600 }, (_, row) => {
  const isRight = unit() < 0.7;
  const entropy = row % 100 === 99 ? 'nan' : (4 + 0.3 * bell() + (isRight ? 0 : 0.3)).toFixed(6);
  return {
    entropy,
    correct: row % 200 === 5 ? '' : Number(isRight),
    length: row % 7,
    kind: ['colour', 'count'][row % 2],
  };
});
const table = `entropy,correct,length,kind,question\n${answers
  .map(({ entropy, correct, length, kind }, row) => `${entropy},${correct},${length},${kind},Is it ${row}?`)
  .join('\n')}`;
const value = { of: 'entropy', kind: 'given', pooling: 'mean' } as const;
const known = answers.filter(({ entropy, correct }) => entropy !== 'nan' && correct !== '');

describe('the statistics’ worker', () => {
  it('says what a table holds', async () => {
    const loaded = await createPage().loadText(table);
    expect(loaded).toMatchObject({
      table: 1,
      facts: undefined,
      rows: 600,
      isPooled: true,
      entropies: ['given'],
      hasLogProbs: false,
      hasLengths: true,
      kinds: ['colour', 'count'],
      unscored: 3,
    });
    expect(loaded.right + loaded.wrong + loaded.unscored).toBe(600);
  });

  it('reads a calibration with its tokens', async () => {
    const page = createPage();
    const loaded = await page.ask('load', { table: 1, name: 'calibration.arrow', bytes: fixture() });
    expect(loaded).toMatchObject({
      entropies: ['sum', 'kde', 'bernoulli'],
      hasContent: true,
      sets: ['gqa-like', 'vqa-like'],
    });
    const { rows } = await page.ask('poolings', { table: loaded.table, request: {} });
    // Six poolings of three entropies and of the log-probabilities, the best first.
    expect(rows).toHaveLength(24);
    const areas = rows.map(({ auroc }) => auroc.value);
    expect(areas).toEqual(areas.toSorted((a, b) => b - a));
  });

  it('puts an entropy that points the wrong way last, however far its AUROC lies from one half', async () => {
    const page = createPage();
    // Of sum-normalised entropy every right answer has the higher; KDE's tells a little, and as expected.
    const rows = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? `6,${3 + (i % 8)},1` : `2,${4 + (i % 8)},0`));
    const loaded = await page.loadText(`entropySum,entropyKde,correct\n${rows.join('\n')}`);
    const found = await page.ask('poolings', { table: loaded.table, request: {} });
    expect(found.rows.map(({ value }) => value.of === 'entropy' && value.kind)).toEqual(['kde', 'sum']);
    expect(found.rows[1]!.auroc.value).toBe(0);
  });

  it('gives densities, bands and histograms of the known answers, and counts the others', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const found: Distribution = await page.ask('distribution', { table: number, request: { value, resamples: 50 } });
    const { right, wrong } = found.densities;
    expect([right.state, wrong.state]).toEqual(['banded', 'banded']);
    expect(right.n + wrong.n).toBe(known.length);
    expect(found.leftOut).toBe(600 - known.length);
    const counted = [found.histograms.right, found.histograms.wrong].map(({ counts }) =>
      counts.reduce((a, b) => a + b, 0),
    );
    expect(counted).toEqual([right.n, wrong.n]);
    expect(await page.ask('distribution', { table: number, request: { value, resamples: 50 } })).toEqual({
      ...found,
      computeMs: expect.any(Number),
    });
  });

  it('sets a threshold that tells right from wrong, and AUROC beside it', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const { figures, auroc, why } = await page.ask('threshold', { table: number, request: { value } });
    expect(why).toBeUndefined();
    expect(figures!.rightBelow.value).toBeGreaterThan(figures!.rightAbove.value);
    expect(auroc!.low).toBeGreaterThan(0.5);
    const { share } = await page.ask('like', { table: number, request: { value, at: 3.6, nearest: 50 } });
    expect(share.n).toBe(50);
    expect(share.value).toBeGreaterThan(0.7);
  });

  it('says why there is nothing where a class is empty', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(`entropy,correct\n${'4.5,1\n4.6,1\n'.repeat(40)}`);
    const { figures, auroc, why } = await page.ask('threshold', { table: number, request: { value } });
    expect([figures, auroc]).toEqual([undefined, undefined]);
    expect(why).toContain('There are 0 wrong answers');
    const { densities } = await page.ask('distribution', { table: number, request: { value } });
    expect(densities.wrong).toEqual({ state: 'none', n: 0, why: 'There are no wrong answers.' });
    expect(densities.right.state).toBe('banded');
  });

  it('filters charts by each other, lists what is left, and searches', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const charts: FilterRequest['charts'] = [
      { id: 'entropy', value, bins: 20 },
      { id: 'kind', category: 'kind' },
      { id: 'right', category: 'correct' },
    ];
    const filter = (choices: FilterRequest['choices'], search?: string): Promise<Filtered> =>
      page.ask('filter', { table: number, request: { charts, choices, ...(search && { search }) } });
    const all = await filter({});
    expect(all.rows).toBe(600);
    expect(all.charts[0]).toMatchObject({ id: 'entropy', leftOut: 6 });
    const range = [3.9, 4.1] as const;
    const isIn = ({ entropy }: (typeof answers)[number]) => Number(entropy) >= range[0] && Number(entropy) < range[1];
    const some = await filter({ entropy: { range }, kind: { names: ['count'] } });
    const wanted = answers.filter((answer) => isIn(answer) && answer.kind === 'count');
    expect(some.rows).toBe(wanted.length);
    const kinds = some.charts[1]!;
    expect(kinds.names).toEqual(['colour', 'count']);
    expect(kinds.right[0]).toBe(answers.filter((a) => isIn(a) && a.kind === 'colour' && a.correct === 1).length);
    const listed = { charts, choices: { entropy: { range }, kind: { names: ['count'] } } };
    const list = (offset: number, filter: FilterRequest = listed): Promise<RowsPage> =>
      page.ask('rows', {
        table: number,
        request: {
          filter,
          order: { by: value, descending: true },
          offset,
          limit: 5,
          values: [value, { of: 'length' }],
        },
      });
    const { total, rows } = await list(2);
    expect(total).toBe(wanted.length);
    const sorted = wanted.map(({ entropy }) => Number(entropy)).toSorted((a, b) => b - a);
    expect(rows.map((row) => row.values[0])).toEqual(sorted.slice(2, 7).map((entropy) => expect.closeTo(entropy, 6)));
    expect((await filter({}, ' IS IT 59')).rows).toBe(11);
    const searched = { charts, choices: {}, search: ' IS IT 59' };
    expect((await list(0, searched)).total).toBe(11);
    expect((await filter({})).rows).toBe(600);
    // Whatever a chart has asked for meanwhile.
    const request = { value, subset: { filter: searched } };
    const { densities } = await page.ask('distribution', { table: number, request });
    expect(densities.right.n + densities.wrong.n).toBeLessThanOrEqual(11);
    expect((await list(0)).total).toBe(wanted.length);
  });

  it('has one bin for lengths that are all the same, in its middle', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(`entropy,correct,length\n${'4.5,1,5\n'.repeat(20)}`);
    const charts = [{ id: 'length', value: { of: 'length' }, bins: 40 }] as const;
    const found = await page.ask('filter', { table: number, request: { charts, choices: {} } });
    expect([...found.charts[0]!.edges!]).toEqual([4.5, 5.5]);
    expect([...found.charts[0]!.right]).toEqual([20]);
  });

  it('lets the latest win: of many, what came before is not computed', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const moved = Array.from({ length: 20 }, (_, i) =>
      page.send('distribution', { table: number, request: { value, bandwidthFactor: 1 + i } }, 'slider'),
    );
    const other = page.send('threshold', { table: number, request: { value } }, 'elsewhere');
    const types = (await Promise.all(moved)).map(({ type }) => type);
    expect(types).toEqual([...new Array(19).fill('superseded'), 'answer']);
    expect((await other).type).toBe('answer');
  });

  it('stops a long computation when another takes its place', async () => {
    const page = createPage();
    const { table: number } = await page.ask('load', { table: 1, name: 'calibration.arrow', bytes: fixture() });
    const first = page.send('poolings', { table: number, request: {} }, 'poolings');
    // It has begun by then, and has two dozen poolings to go.
    await macrotask();
    await macrotask();
    const second = page.send('poolings', { table: number, request: { seed: 1 } }, 'poolings');
    expect([(await first).type, (await second).type]).toEqual(['superseded', 'answer']);
  });

  it('says what failed, and goes on', async () => {
    const page = createPage();
    await expect(page.ask('like', { table: 9, request: { value, at: 1 } })).rejects.toThrow('has been closed');
    await expect(page.loadText('a,b\n1,2\n')).rejects.toThrow('its columns are a, b');
    const { table: number } = await page.loadText(table);
    const logProb = { of: 'logProb', pooling: 'mean' } as const;
    await expect(page.ask('threshold', { table: number, request: { value: logProb } })).rejects.toThrow('no log-prob');
    await page.ask('close', { table: number });
    await expect(page.ask('filter', { table: number, request: { charts: [], choices: {} } })).rejects.toThrow('closed');
  });

  it('gives the entropies of maps', async () => {
    const maps = Float32Array.of(0.5, 0.5, 0.5, 0.5, 1, 0, 0, 0);
    const found = await createPage().ask('entropies', { maps, tokens: 2 });
    expect([...found.sum]).toEqual([expect.closeTo(Math.log(4), 12), 0]);
    expect([...found.bernoulli]).toEqual([expect.closeTo(Math.LN2, 12), 0]);
    await expect(createPage().ask('entropies', { maps, tokens: 3 })).rejects.toThrow('8 probabilities are no 3 maps');
  });

  it('answers of a million rows', async () => {
    const page = createPage();
    const rows = Array.from({ length: 1_000_000 }, (_, row) => `${(4 + bell()).toFixed(3)},${row % 3 === 0 ? 0 : 1}`);
    const { table: number } = await page.loadText(`entropy,correct\n${rows.join('\n')}`);
    const { densities } = await page.ask('distribution', { table: number, request: { value } });
    await page.ask('threshold', { table: number, request: { value } });
    const charts = [{ id: 'entropy', value, bins: 40 }];
    const left = await page.ask('filter', {
      table: number,
      request: { charts, choices: { entropy: { range: [3, 4] } } },
    });
    expect([densities.right.n, left.rows > 1000]).toEqual([666_666, true]);
  });
});
