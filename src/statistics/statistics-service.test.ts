import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from '../contract/calibration-file';
import { createRandom } from '../math/random';
import { linkHere } from '../workers/worker-here.example';
import type { Distribution, Filtered, FilterRequest, RowsPage } from './api';
import { createCalibration } from './calibration';
import { statisticsOver } from './client';
import { createStatisticsHandlers } from './statistics-service';

/** The page's side of the worker, linked to a service on this thread. */
function createPage() {
  const client = statisticsOver(linkHere(createStatisticsHandlers()));
  const loadText = (text: string) => client.load({ name: 'table.csv', bytes: new TextEncoder().encode(text).buffer });
  return { ...client, loadText };
}

/** Resolves to 'answer', to 'superseded' if a later request superseded this one, or to the error's message. */
const outcomeOf = (answer: Promise<unknown>) =>
  answer.then(
    () => 'answer',
    (error: Error) => (error.name === 'AbortError' ? 'superseded' : error.message),
  );

const fixture = (): ArrayBuffer => {
  const file = readFileSync(join(import.meta.dirname, '../contract/fixtures/calibration.arrow'));
  return new Uint8Array(file).buffer;
};

const { unit } = createRandom(6);
const bell = () => unit() + unit() + unit() + unit() - 2;
/** Wrong answers have higher entropies. */
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

describe('the statistics worker', () => {
  it('describes a loaded table', async () => {
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
    const loaded = await page.load({ name: 'calibration.arrow', bytes: fixture() });
    expect(loaded).toMatchObject({
      entropies: ['sum', 'kde', 'bernoulli'],
      hasContent: true,
      sets: ['gqa-like', 'vqa-like'],
    });
    const { rows } = await page.compute('poolings', loaded.table, {});
    // Six poolings of three entropies and of the log-probabilities, best first.
    expect(rows).toHaveLength(24);
    const areas = rows.map(({ auroc }) => auroc.value);
    expect(areas).toEqual(areas.toSorted((a, b) => b - a));
  });

  it('ranks an entropy in the wrong direction last, however far its AUROC is from one half', async () => {
    const page = createPage();
    // Every right answer has a higher sum-normalised entropy than every wrong one; the KDE entropy separates the two
    // classes slightly, in the expected direction.
    const rows = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? `6,${3 + (i % 8)},1` : `2,${4 + (i % 8)},0`));
    const loaded = await page.loadText(`entropySum,entropyKde,correct\n${rows.join('\n')}`);
    const ranked = await page.compute('poolings', loaded.table, {});
    expect(ranked.rows.map(({ value }) => value.of === 'entropy' && value.kind)).toEqual(['kde', 'sum']);
    expect(ranked.rows[1]!.auroc.value).toBe(0);
  });

  it('computes densities, bands and histograms of the known answers, and counts the others', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const distribution: Distribution = await page.compute('distribution', number, { value, resamples: 50 });
    const { right, wrong } = distribution.densities;
    expect([right.state, wrong.state]).toEqual(['banded', 'banded']);
    expect(right.n + wrong.n).toBe(known.length);
    expect(distribution.leftOut).toBe(600 - known.length);
    const counted = [distribution.histograms.right, distribution.histograms.wrong].map(({ counts }) =>
      counts.reduce((a, b) => a + b, 0),
    );
    expect(counted).toEqual([right.n, wrong.n]);
    expect(await page.compute('distribution', number, { value, resamples: 50 })).toEqual({
      ...distribution,
      computeMs: expect.any(Number),
    });
  });

  it('computes the AUROC and a threshold that separates right from wrong answers', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const { figures, auroc, why } = await page.compute('threshold', number, { value });
    expect(why).toBeUndefined();
    expect(figures!.rightBelow.value).toBeGreaterThan(figures!.rightAbove.value);
    expect(auroc!.low).toBeGreaterThan(0.5);
    const { share } = await page.compute('like', number, { value, at: 3.6, nearest: 50 });
    expect(share.n).toBe(50);
    expect(share.value).toBeGreaterThan(0.7);
  });

  it('says why there is no result if a class is empty', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(`entropy,correct\n${'4.5,1\n4.6,1\n'.repeat(40)}`);
    const { figures, auroc, why } = await page.compute('threshold', number, { value });
    expect([figures, auroc]).toEqual([undefined, undefined]);
    expect(why).toContain('at least 10 wrong answers, found 0');
    const { densities } = await page.compute('distribution', number, { value });
    expect(densities.wrong).toEqual({ state: 'none', n: 0, why: 'There are no wrong answers.' });
    expect(densities.right.state).toBe('banded');
  });

  it('links chart filters, lists the remaining rows, and searches', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const charts: FilterRequest['charts'] = [
      { id: 'entropy', value, bins: 20 },
      { id: 'kind', category: 'kind' },
      { id: 'right', category: 'correct' },
    ];
    const filter = (choices: FilterRequest['choices'], search?: string): Promise<Filtered> =>
      page.compute('filter', number, { charts, choices, ...(search && { search }) });
    const all = await filter({});
    expect(all.rows).toBe(600);
    expect(all.charts[0]).toMatchObject({ id: 'entropy', leftOut: 6 });
    const range = [3.9, 4.1] as const;
    const isIn = ({ entropy }: (typeof answers)[number]) => Number(entropy) >= range[0] && Number(entropy) < range[1];
    const some = await filter({ entropy: { range }, kind: { names: ['count'] } });
    const expected = answers.filter((answer) => isIn(answer) && answer.kind === 'count');
    expect(some.rows).toBe(expected.length);
    const kinds = some.charts[1]!;
    expect(kinds.names).toEqual(['colour', 'count']);
    expect(kinds.right[0]).toBe(answers.filter((a) => isIn(a) && a.kind === 'colour' && a.correct === 1).length);
    const listed = { charts, choices: { entropy: { range }, kind: { names: ['count'] } } };
    const list = (offset: number, filter: FilterRequest = listed): Promise<RowsPage> =>
      page.compute('rows', number, {
        filter,
        order: { by: value, descending: true },
        offset,
        limit: 5,
        values: [value, { of: 'length' }],
      });
    const { total, rows } = await list(2);
    expect(total).toBe(expected.length);
    const sorted = expected.map(({ entropy }) => Number(entropy)).toSorted((a, b) => b - a);
    expect(rows.map((row) => row.values[0])).toEqual(sorted.slice(2, 7).map((entropy) => expect.closeTo(entropy, 6)));
    expect((await filter({}, ' IS IT 59')).rows).toBe(11);
    const searched = { charts, choices: {}, search: ' IS IT 59' };
    expect((await list(0, searched)).total).toBe(11);
    expect((await filter({})).rows).toBe(600);
    // This holds even if a chart has applied another filter in the meantime.
    const request = { value, subset: { filter: searched } };
    const { densities } = await page.compute('distribution', number, request);
    expect(densities.right.n + densities.wrong.n).toBeLessThanOrEqual(11);
    expect((await list(0)).total).toBe(expected.length);
  });

  it('ranks, counts and keeps answers at -Infinity', async () => {
    const page = createPage();
    // Five wrong answers and one right answer underflowed; the others have their rank as log-probability.
    const lines = Array.from({ length: 60 }, (_, row) => {
      const isInfinite = row % 10 === 0;
      return `4.${row},${isInfinite ? Number(row === 0) : Number(row % 3 > 0)},${isInfinite ? '-Infinity' : -row}`;
    });
    const { table: number } = await page.loadText(
      `entropy,correct,logProb\n4.5,1,\n4.5,,-Infinity\n${lines.join('\n')}`,
    );
    const logProb = { of: 'logProb', pooling: 'mean' } as const;
    const answers = lines.map((line) => line.split(',').map(Number));
    const [right, wrong] = [1, 0].map((cls) => answers.filter((cells) => cells[1] === cls).map((cells) => cells[2]!));
    const pairs = right!.flatMap((r) => wrong!.map((w) => (r > w ? 1 : r === w ? 0.5 : 0) as number));
    const { auroc, leftOut } = await page.compute('threshold', number, { value: logProb });
    expect(auroc!.value).toBeCloseTo(pairs.reduce((sum, pair) => sum + pair) / pairs.length, 12);
    expect([auroc!.right, auroc!.wrong, leftOut]).toEqual([right!.length, wrong!.length, 2]);
    const { densities, infinite, histograms } = await page.compute('distribution', number, { value: logProb });
    expect(infinite).toEqual({ right: { low: 1, high: 0 }, wrong: { low: 5, high: 0 } });
    expect([densities.right.n, densities.wrong.n]).toEqual([right!.length - 1, wrong!.length - 5]);
    expect(histograms.right.counts.reduce((a, b) => a + b)).toBe(right!.length - 1);
    const charts = [{ id: 'logProb', value: logProb, bins: 10 }] as const;
    const filter = (range: readonly [number, number]) =>
      page.compute('filter', number, { charts, choices: { logProb: { range } } });
    const all = await page.compute('filter', number, { charts, choices: {} });
    expect(all.charts[0]).toMatchObject({ below: { right: 1, wrong: 5, unscored: 1 }, leftOut: 1 });
    const edges = all.charts[0]!.edges!;
    expect([edges[0], edges.at(-1)]).toEqual([-59, -1]);
    // A brush that reaches the edge keeps the answers beyond it; one that does not leaves them out.
    expect((await filter([-59, -50])).rows).toBe(answers.filter((cells) => cells[2]! < -50).length + 1);
    expect((await filter([-58, -50])).rows).toBe(answers.filter((cells) => cells[2]! >= -58 && cells[2]! < -50).length);
    const { rows } = await page.compute('rows', number, {
      order: { by: logProb, descending: false },
      offset: 0,
      limit: 100,
      values: [logProb],
    });
    expect(rows.map((row) => row.values[0]).slice(0, 8)).toEqual([...new Array(7).fill(-Infinity), -59]);
    expect(rows.at(-1)!.values[0]).toBeNaN();
    const like = await page.compute('like', number, { value: logProb, at: -Infinity });
    expect(like.share).toMatchObject({ hits: 1, n: 6 });
  });

  it('compares answers to the same kind of question only, and counts kinds among similar answers', async () => {
    const page = createPage();
    // Entropy tells the kinds apart, but not right from wrong answers of one kind.
    const random = createRandom(12);
    const lines = Array.from({ length: 1200 }, (_, row) => {
      const isHard = row % 2 === 0;
      const entropy = (isHard ? 5 : 4) + 0.2 * random.normal();
      return `${entropy.toFixed(4)},${Number(random.unit() < (isHard ? 0.3 : 0.8))},${isHard ? 'count' : 'colour'}`;
    });
    const { table: number, kindsBy } = await page.loadText(`entropy,correct,kind\n${lines.join('\n')}`);
    expect(kindsBy).toBe('kind');
    const { auroc } = await page.compute('threshold', number, { value });
    const kinds = await page.compute('kinds', number, { values: [value], resamples: 100 });
    if (kinds.by === 'none') throw new Error('no kinds');
    expect(auroc!.value).toBeGreaterThan(0.7);
    expect(kinds.within[0]!.low).toBeLessThan(0.5);
    expect(kinds.within[0]!.high).toBeGreaterThan(0.5);
    expect(kinds.alone!.low).toBeGreaterThan(0.7);
    const like = await page.compute('like', number, { value, at: 5, nearest: 100 });
    expect(like.kinds).toEqual([{ name: 'count', n: 100, ofAll: 0.5 }]);
    // Only the rows of one kind remain: there is nothing to compare within.
    const one = await page.compute('kinds', number, { values: [value], subset: { kinds: ['count'] }, resamples: 0 });
    expect(one).toMatchObject({ by: 'kind', alone: { value: 0.5 } });
  });

  it('groups by dataset if there are no kinds, and by nothing in a table of one kind', async () => {
    const page = createPage();
    const load = (head: string, cells: string) =>
      page.loadText(
        `entropy,correct,${head}\n${[0, 1, 0, 1].map((cls, row) => `4.${row},${cls},${cells.split(' ')[row % 2]}`).join('\n')}`,
      );
    expect((await load('set', 'vqa gqa')).kindsBy).toBe('set');
    expect((await load('kind', 'count count')).kindsBy).toBe('none');
    expect((await load('variety', 'shape colour')).kindsBy).toBe('kind');
    const { table: number } = await load('answer', 'yes no');
    expect(await page.compute('kinds', number, { values: [value] })).toEqual({ by: 'none' });
  });

  it('centres one bin on lengths that are all the same', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(`entropy,correct,length\n${'4.5,1,5\n'.repeat(20)}`);
    const charts = [{ id: 'length', value: { of: 'length' }, bins: 40 }] as const;
    const filtered = await page.compute('filter', number, { charts, choices: {} });
    expect([...filtered.charts[0]!.edges!]).toEqual([4.5, 5.5]);
    expect([...filtered.charts[0]!.right]).toEqual([20]);
  });

  it('computes only the latest of many requests', async () => {
    const page = createPage();
    const { table: number } = await page.loadText(table);
    const moved = Array.from({ length: 20 }, (_, i) =>
      page.compute('distribution', number, { value, bandwidthFactor: 1 + i }, 'slider'),
    );
    const other = page.compute('threshold', number, { value }, 'elsewhere');
    expect(await Promise.all(moved.map(outcomeOf))).toEqual([...new Array(19).fill('superseded'), 'answer']);
    expect(await outcomeOf(other)).toBe('answer');
  });

  it('stops a long computation when another supersedes it', async () => {
    const { computations } = createCalibration(await readCalibrationFile('calibration.arrow', fixture()));
    let steps = 0;
    const pause = async () => {
      steps += 1;
      if (steps === 3) throw new Error('superseded');
    };
    await expect(computations.poolings({}, pause)).rejects.toThrow('superseded');
    expect(steps).toBe(3);
  });

  it('reports a failure and continues', async () => {
    const page = createPage();
    await expect(page.compute('like', 9, { value, at: 1 })).rejects.toThrow('has been closed');
    await expect(page.loadText('a,b\n1,2\n')).rejects.toThrow('its columns are a, b');
    const { table: number } = await page.loadText(table);
    const logProb = { of: 'logProb', pooling: 'mean' } as const;
    await expect(page.compute('threshold', number, { value: logProb })).rejects.toThrow('no log-prob');
    page.close(number);
    await expect(page.compute('filter', number, { charts: [], choices: {} })).rejects.toThrow('closed');
  });

  it('computes the entropies of maps', async () => {
    const maps = Float32Array.of(0.5, 0.5, 0.5, 0.5, 1, 0, 0, 0);
    const entropies = await createPage().entropies(maps, 2);
    expect([...entropies.sum]).toEqual([expect.closeTo(Math.log(4), 12), 0]);
    expect([...entropies.bernoulli]).toEqual([expect.closeTo(Math.LN2, 12), 0]);
    await expect(createPage().entropies(maps, 3)).rejects.toThrow('8 probabilities cannot be split into 3 maps');
  });

  it('handles a million rows', async () => {
    const page = createPage();
    const rows = Array.from({ length: 1_000_000 }, (_, row) => `${(4 + bell()).toFixed(3)},${row % 3 === 0 ? 0 : 1}`);
    const { table: number } = await page.loadText(`entropy,correct\n${rows.join('\n')}`);
    const { densities } = await page.compute('distribution', number, { value });
    await page.compute('threshold', number, { value });
    const charts = [{ id: 'entropy', value, bins: 40 }];
    const left = await page.compute('filter', number, { charts, choices: { entropy: { range: [3, 4] } } });
    expect([densities.right.n, left.rows > 1000]).toEqual([666_666, true]);
  });
});
