import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fitOf } from '../contract/calibration';
import { readCalibrationFile } from '../contract/calibration-file';
import type { CalibrationTable } from '../contract/calibration-table';
import { type Pooling, poolings } from '../math/statistics/pooling';
import type { AnswerValue } from './api';
import { createCalibration } from './calibration';

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

describe('the calibration that ships', () => {
  let table: CalibrationTable;
  beforeAll(async () => {
    const file = readFileSync(join(shipped, 'calibration.arrow'));
    table = await readCalibrationFile('calibration.arrow', new Uint8Array(file).buffer);
  });

  it('is read whole, and fits the model and head that ship', () => {
    expect(table.rows).toBeGreaterThanOrEqual(10_000);
    const { name, revision, head } = manifest;
    expect(fitOf(table.facts!, { model: { name, revision }, head })).toEqual({ fits: true });
    expect(fitOf(table.facts!, { model: { name, revision: '0' }, head }).fits).toBe(false);
    const row = table.rows - 1;
    expect(table.tokensAt(row).join('')).toBe(table.answer.at(row));
    expect(readFileSync(join(shipped, table.image.at(row)!)).length).toBeGreaterThan(1000);
  });

  it('comes in the page to what its summary says', () => {
    const calibration = createCalibration(table);
    for (const column of ['entropySum', 'logProbs']) {
      for (const set of [...table.facts!.data.sets, 'all']) {
        const wanted = summary.thresholds[column][set];
        const subset = set === 'all' ? {} : { sets: [set] };
        const { figures, auroc } = calibration.threshold({ value: columns[column]!('mean'), subset });
        expect(auroc!.value).toBeCloseTo(wanted.auroc.value, 5);
        expect(figures!.threshold).toBeCloseTo(wanted.threshold.threshold, 4);
        for (const share of ['shareBelow', 'rightBelow', 'rightAbove', 'truePositives', 'falsePositives'] as const)
          expect(figures![share]).toMatchObject({ hits: wanted.threshold[share].hits, n: wanted.threshold[share].n });
      }
    }
  });

  it('separates by every entropy and pooling as its summary says', () => {
    const calibration = createCalibration(table);
    for (const [column, pooledBy] of Object.entries(columns)) {
      for (const pooling of poolings) {
        const wanted = summary.poolings[column][pooling].auroc.value;
        expect(calibration.threshold({ value: pooledBy(pooling) }).auroc!.value, `${column} ${pooling}`).toBeCloseTo(
          wanted,
          5,
        );
      }
    }
  });

  it('is read by the sum-normalised entropy of the content tokens unless another is chosen', async () => {
    const { rows } = await createCalibration(table).poolings({ resamples: 0 }, async () => {});
    const best = rows.find(({ value }) => value.of === 'entropy')!.value;
    expect(best).toEqual({ of: 'entropy', kind: 'sum', pooling: 'content-mean' });
  });
});
