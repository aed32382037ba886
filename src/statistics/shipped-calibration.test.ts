import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fitOf } from '../contract/calibration';
import { readCalibrationFile } from '../contract/calibration-file';
import type { CalibrationTable } from '../contract/calibration-table';
import { parseImageFile } from '../contract/image-file';
import { parseImageIndex } from '../contract/image-index';
import { minForBands } from '../math/statistics/class-density';
import { type Pooling, poolings } from '../math/statistics/pooling';
import { maxExactDraws } from '../math/statistics/resample';
import type { AnswerValue } from './api';
import { createCalibration, resamplesOfAuroc } from './calibration';

const root = join(import.meta.dirname, '../..');
const shipped = join(root, 'public/datasets/patchlight-scenes');
const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
const summary = readJson(join(shipped, 'summary.json'));
const manifest = readJson(join(root, 'public/models/patchlight-scenes/manifest.json'));
const columns: Record<string, (pooling: Pooling) => AnswerValue> = {
  entropySum: (pooling) => ({ of: 'entropy', kind: 'sum', pooling }),
  entropyKde: (pooling) => ({ of: 'entropy', kind: 'kde', pooling }),
  entropyBernoulli: (pooling) => ({ of: 'entropy', kind: 'bernoulli', pooling }),
  logProbs: (pooling) => ({ of: 'logProb', pooling }),
};

const pause = async () => {};

describe('the shipped calibration', () => {
  let table: CalibrationTable;
  beforeAll(async () => {
    const file = readFileSync(join(shipped, 'calibration.arrow'));
    table = await readCalibrationFile('calibration.arrow', new Uint8Array(file).buffer);
  });

  it('is read completely, and fits the shipped model and head', () => {
    expect(table.rows).toBeGreaterThanOrEqual(10_000);
    const { name, revision, head } = manifest;
    expect(fitOf(table.facts!, { model: { name, revision }, head })).toEqual({ fits: true });
    expect(fitOf(table.facts!, { model: { name, revision: '0' }, head }).fits).toBe(false);
    const row = table.rows - 1;
    expect(table.tokensAt(row).join('')).toBe(table.answer.at(row));
    const { file, index } = table.facts!.images!;
    const { mediaType, images } = parseImageIndex(readJson(join(shipped, index)));
    const { offset, bytes } = images[table.image.at(row)!]!;
    const image = readFileSync(join(shipped, file)).subarray(offset, offset + bytes);
    expect(parseImageFile(image)).toMatchObject({
      kind: 'image',
      image: { mediaType, widthPx: 336, heightPx: 336, decoder: 'browser', isOpaque: true },
    });
  });

  it('gives the figures of its summary', async () => {
    const { computations } = createCalibration(table);
    for (const column of ['entropySum', 'logProbs']) {
      for (const set of [...table.facts!.data.sets, 'all']) {
        const expected = summary.thresholds[column][set];
        const subset = set === 'all' ? {} : { sets: [set] };
        const { figures, auroc } = await computations.threshold({ value: columns[column]!('mean'), subset }, pause);
        expect(auroc!.value).toBeCloseTo(expected.auroc.value, 5);
        expect(figures!.threshold).toBeCloseTo(expected.threshold.threshold, 4);
        for (const share of ['shareBelow', 'rightBelow', 'rightAbove', 'truePositives', 'falsePositives'] as const)
          expect(figures![share]).toMatchObject({
            hits: expected.threshold[share].hits,
            n: expected.threshold[share].n,
          });
      }
    }
  });

  it('gives the AUROC of its summary for every entropy and pooling', async () => {
    const { computations } = createCalibration(table);
    for (const [column, pooledBy] of Object.entries(columns)) {
      for (const pooling of poolings) {
        const expected = summary.poolings[column][pooling].auroc.value;
        const { auroc } = await computations.threshold({ value: pooledBy(pooling) }, pause);
        expect(auroc!.value, `${column} ${pooling}`).toBeCloseTo(expected, 5);
      }
    }
  });

  it('gives the AUROC within kinds of question of its summary', async () => {
    const { computations } = createCalibration(table);
    const values = [columns.entropySum!('mean'), columns.logProbs!('mean')];
    const report = await computations.kinds({ values }, pause);
    if (report.by === 'none') throw new Error('no kinds');
    const { kindsBy, within, alone } = summary.kinds;
    expect(report.by).toBe(kindsBy);
    for (const [i, expected] of [within.entropySum, within.logProbs].entries()) {
      const { value, low, high, ...counts } = report.within[i]!;
      expect(counts).toMatchObject({ pairs: expected.pairs, groups: expected.groups, leftOut: 0 });
      expect(value).toBeCloseTo(expected.value, 5);
      expect(low).toBeCloseTo(expected.low, 1);
      expect(high).toBeCloseTo(expected.high, 1);
    }
    expect(report.alone!.value).toBeCloseTo(alone.value, 5);
  });

  it('defaults to the sum-normalised entropy of the content tokens', async () => {
    const { rows } = await createCalibration(table).computations.poolings({ resamples: 0 }, pause);
    const best = rows.find(({ value }) => value.of === 'entropy')!.value;
    expect(best).toEqual({ of: 'entropy', kind: 'sum', pooling: 'content-mean' });
  });

  it('is described in docs/calibration.md with the numbers of the code', () => {
    const text = readFileSync(join(root, 'docs/calibration.md'), 'utf8');
    const whole = (value: number) => value.toLocaleString('en-US');
    expect(text).toContain(`${resamplesOfAuroc} in the page`);
    expect(text).toContain(`Bands need ${minForBands} answers in a class`);
    expect(text).toContain(`With more than ${whole(maxExactDraws)} answers in a class`);
    expect(text).toContain(`of the embedded model's ${whole(table.rows)}`);
  });
});
