// A loaded calibration and the statistics computed from it.
import { type CalibrationTable, minRightScore, tableEntropies } from '../contract/calibration-table';
import { answersLike } from '../math/statistics/answers-like';
import { aurocInterval } from '../math/statistics/auroc';
import { calibrateThreshold, type RightSide } from '../math/statistics/calibration-threshold';
import { classDensity } from '../math/statistics/class-density';
import { groupAloneAuroc, groupedAuroc } from '../math/statistics/grouped-auroc';
import { countValues, evenEdges } from '../math/statistics/histogram';
import { gridPoints, scottBandwidth } from '../math/statistics/kernel-density';
import { poolings } from '../math/statistics/pooling';
import { createAnswerValues, keyOf } from './answer-values';
import type {
  AnswerValue,
  ByClass,
  KindCount,
  LoadedCalibration,
  PoolingRow,
  StatisticName,
  Subset,
  TableStatistics,
} from './api';
import { type QuestionKinds, questionKindsOf } from './question-kinds';
import { createTableFilter, extentOf } from './table-filter';
import { createTableRows } from './table-rows';

/** `pause` lets other requests run between two steps; it throws to stop the computation. */
export type Computation<Name extends StatisticName> = (
  request: TableStatistics[Name]['request'],
  pause: () => Promise<void>,
) => TableStatistics[Name]['response'] | Promise<TableStatistics[Name]['response']>;

export type TableComputations = { readonly [Name in StatisticName]: Computation<Name> };

export interface Calibration {
  readonly summary: Omit<LoadedCalibration, 'table'>;
  readonly computations: TableComputations;
}

/** Class of a row, from `correct`. */
const wrongClass = 0;
const rightClass = 1;
const unscoredClass = 2;

export const resamplesOfAuroc = 500;
/** For each value; there are about two dozen values. */
const resamplesOfPoolings = 200;

export function createCalibration(table: CalibrationTable): Calibration {
  const classOf = Uint8Array.from(table.correct, (score) =>
    Number.isNaN(score) ? unscoredClass : score >= minRightScore ? rightClass : wrongClass,
  );
  const values = createAnswerValues(table);
  const kinds = questionKindsOf(table);
  const filter = createTableFilter(table, classOf, values);
  const rows = createTableRows(table, values, filter);
  const selected = createSelection(table, filter.leaves);

  let last: { readonly key: string; readonly gathered: Gathered } | undefined;

  /** Caches the last result, because a slider requests the same rows repeatedly. */
  function gather(value: AnswerValue, subset: Subset = {}): Gathered {
    const key = JSON.stringify([keyOf(value), subset]);
    if (last?.key === key) return last.gathered;
    // A chart may have applied another filter in the meantime.
    if (subset.filter) filter.force(subset.filter);
    const gathered = gatherRows(values.of(value), classOf, selected(subset));
    last = { key, gathered };
    return gathered;
  }

  const computations: TableComputations = {
    distribution({
      value,
      subset,
      bandwidth,
      bandwidthFactor = 1,
      points = 256,
      bins = 40,
      resamples = 200,
      seed = 0,
      extent,
    }) {
      const from = performance.now();
      const { byClass, leftOut } = gather(value, subset);
      const { right, wrong } = byClass;
      const [low, high] = extent ?? roomyExtent(right, wrong, bandwidth, bandwidthFactor);
      const grid = { from: low, to: high, points };
      const edges = evenEdges(low, high, bins);
      const options = { grid, bandwidth, bandwidthFactor, resamples, seed };
      return {
        grid: gridPoints(grid),
        densities: {
          right: classDensity(right, 'right answers', options),
          wrong: classDensity(wrong, 'wrong answers', { ...options, seed: seed + 1 }),
        },
        histograms: { right: countValues(right, edges), wrong: countValues(wrong, edges) },
        infinite: { right: infiniteOf(right), wrong: infiniteOf(wrong) },
        leftOut,
        computeMs: performance.now() - from,
      };
    },

    threshold({ value, subset, seed = 0 }) {
      const { known, byClass, leftOut } = gather(value, subset);
      const V = values.of(value);
      const side = rightSideOf(value);
      const calibrated = calibrateThreshold(
        Float64Array.from(known, (row) => V[row]!),
        Uint8Array.from(known, (row) => classOf[row]!),
        known,
        side,
        seed,
      );
      const auroc = aurocInterval(byClass.right, byClass.wrong, side, { resamples: resamplesOfAuroc, seed });
      return {
        figures: calibrated.state === 'figures' ? calibrated.figures : undefined,
        why: calibrated.state === 'refused' ? calibrated.why : undefined,
        auroc,
        leftOut,
      };
    },

    async kinds({ values: requested, subset, seed = 0, resamples = resamplesOfPoolings }, pause) {
      if (kinds === undefined) return { by: 'none' };
      const options = { resamples, seed };
      const within = [];
      for (const value of requested) {
        await pause();
        const { known } = gather(value, subset);
        const V = values.of(value);
        within.push(
          groupedAuroc(
            {
              values: Float64Array.from(known, (row) => V[row]!),
              isRight: Uint8Array.from(known, (row) => classOf[row]!),
              groups: Int32Array.from(known, (row) => kinds.codes[row]!),
            },
            rightSideOf(value),
            options,
          ),
        );
      }
      await pause();
      if (subset?.filter) filter.force(subset.filter);
      const scored = scoredRows(classOf, selected(subset));
      const alone = groupAloneAuroc(
        Uint8Array.from(scored, (row) => classOf[row]!),
        Int32Array.from(scored, (row) => kinds.codes[row]!),
        scored,
        options,
      );
      return { by: kinds.by, within, alone };
    },

    async poolings({ subset, seed = 0, resamples = resamplesOfPoolings }, pause) {
      const poolingRows: PoolingRow[] = [];
      let maxLeftOut = 0;
      for (const value of offeredValues(table)) {
        await pause();
        const { byClass, leftOut } = gather(value, subset);
        const rightSide = rightSideOf(value);
        const auroc = aurocInterval(byClass.right, byClass.wrong, rightSide, { resamples, seed });
        maxLeftOut = Math.max(maxLeftOut, leftOut);
        if (auroc !== undefined) poolingRows.push({ value, pooling: value.pooling, rightSide, auroc });
      }
      // Sort by AUROC, not by its distance from 0.5: the threshold and the page's text assume that right answers are on
      // the expected side.
      return { rows: poolingRows.toSorted((a, b) => b.auroc.value - a.auroc.value), leftOut: maxLeftOut };
    },

    like({ value, subset, at, nearest = 200 }) {
      const { known, byClass } = gather(value, subset);
      const { sorted, isRight } = merged(byClass.right.toSorted(), byClass.wrong.toSorted());
      const like = answersLike(sorted, isRight, at, nearest);
      if (like !== undefined) {
        const V = values.of(value);
        const near = known.filter((row) => V[row]! >= like.from && V[row]! <= like.to);
        return { ...like, kinds: kinds && commonKinds(kinds, near, known) };
      }
      throw new Error(
        Number.isNaN(at)
          ? 'This answer does not have this value.'
          : 'No scored answer has a value that this one can be compared with.',
      );
    },

    filter: (request) => filter.apply(request),
    rows: (request) => rows.page(request),
  };

  return { summary: summaryOf(table, classOf, kinds), computations };
}

/** Right answers are expected to have low entropies and high log-probabilities, and to be short. */
function rightSideOf({ of }: AnswerValue): RightSide {
  return of === 'logProb' ? 'above' : 'below';
}

type PooledValue = Exclude<AnswerValue, { of: 'length' }>;

/** Lists every pooling of every token value in the table; a table that is already pooled has one pooling per value. */
function offeredValues(table: CalibrationTable): PooledValue[] {
  const offered = table.isPooled ? (['mean'] as const) : poolings;
  const entropies = offeredEntropies(table).flatMap((kind) =>
    offered.map((pooling): PooledValue => ({ of: 'entropy', kind, pooling })),
  );
  if (table.logProbs === undefined) return entropies;
  return [...entropies, ...offered.map((pooling): PooledValue => ({ of: 'logProb', pooling }))];
}

const offeredEntropies = ({ entropies }: CalibrationTable) =>
  tableEntropies.filter((kind) => entropies[kind] !== undefined);

function summaryOf(
  table: CalibrationTable,
  classOf: Uint8Array,
  kinds: QuestionKinds | undefined,
): Omit<LoadedCalibration, 'table'> {
  const countOf = (target: number) => classOf.reduce((sum, cls) => sum + (cls === target ? 1 : 0), 0);
  return {
    facts: table.facts,
    rows: table.rows,
    isPooled: table.isPooled,
    entropies: offeredEntropies(table),
    hasLogProbs: table.logProbs !== undefined,
    hasContent: table.isContent !== undefined,
    hasLengths: table.length.some((length) => !Number.isNaN(length)),
    sets: table.set.names,
    kinds: table.kind.names,
    varieties: table.variety.names,
    kindsBy: kinds?.by ?? 'none',
    unscored: countOf(unscoredClass),
    right: countOf(rightClass),
    wrong: countOf(wrongClass),
    notes: table.notes,
  };
}

function createSelection({ set, kind }: CalibrationTable, leaves: (row: number) => boolean) {
  return ({ sets, kinds, filter }: Subset = {}): ((row: number) => boolean) => {
    const hasSet = set.names.map((name) => sets?.includes(name) ?? true);
    const hasKind = kind.names.map((name) => kinds?.includes(name) ?? true);
    return (row) => hasSet[set.codes[row]!]! && hasKind[kind.codes[row]!]! && (filter === undefined || leaves(row));
  };
}

/** Extends the data's range at each end by three bandwidths, using the larger of the two classes' bandwidths. */
function roomyExtent(
  right: Float64Array,
  wrong: Float64Array,
  bandwidth: number | undefined,
  factor: number,
): readonly [number, number] {
  const [low, high] = extentOf([right, wrong]);
  const scott = (values: Float64Array) => scottBandwidth(values.filter(Number.isFinite)) * factor || 0;
  const room = 3 * (bandwidth ?? Math.max(scott(right), scott(wrong)));
  return [Math.max(-Number.MAX_VALUE, low - room), Math.min(Number.MAX_VALUE, high + room)];
}

function infiniteOf(values: Float64Array): { readonly low: number; readonly high: number } {
  let low = 0;
  let high = 0;
  for (const value of values) {
    if (value === Number.NEGATIVE_INFINITY) low++;
    if (value === Number.POSITIVE_INFINITY) high++;
  }
  return { low, high };
}

const maxCommonKinds = 3;

function commonKinds({ names, codes }: QuestionKinds, near: Uint32Array, all: Uint32Array): KindCount[] {
  const countsIn = (rows: Uint32Array) => {
    const counts = new Uint32Array(names.length);
    for (const row of rows) if (codes[row]! >= 0) counts[codes[row]!] = counts[codes[row]!]! + 1;
    return counts;
  };
  const counts = countsIn(near);
  const allCounts = countsIn(all);
  return names
    .map((name, i) => ({ name, n: counts[i]!, ofAll: allCounts[i]! / all.length }))
    .filter(({ n }) => n > 0)
    .toSorted((a, b) => b.n - a.n)
    .slice(0, maxCommonKinds);
}

function scoredRows(classOf: Uint8Array, isIn: (row: number) => boolean): Uint32Array {
  return Uint32Array.from(classOf.keys()).filter((row) => classOf[row] !== unscoredClass && isIn(row));
}

function merged(right: Float64Array, wrong: Float64Array): { sorted: Float64Array; isRight: Uint8Array } {
  const n = right.length + wrong.length;
  const sorted = new Float64Array(n);
  const isRight = new Uint8Array(n);
  for (let i = 0, r = 0, w = 0; i < n; i++) {
    const takesRight = w === wrong.length || (r < right.length && right[r]! <= wrong[w]!);
    isRight[i] = takesRight ? 1 : 0;
    sorted[i] = takesRight ? right[r++]! : wrong[w++]!;
  }
  return { sorted, isRight };
}

interface Gathered {
  /** Rows that have a value and a class. Values may be infinite. */
  readonly known: Uint32Array;
  /** Their values. */
  readonly byClass: ByClass<Float64Array>;
  /** Rows without a value or a class. */
  readonly leftOut: number;
}

function gatherRows(V: Float64Array, classOf: Uint8Array, isIn: (row: number) => boolean): Gathered {
  const known = new Uint32Array(V.length);
  const right = new Float64Array(V.length);
  const wrong = new Float64Array(V.length);
  let rights = 0;
  let wrongs = 0;
  let leftOut = 0;
  for (let row = 0; row < V.length; row++) {
    if (!isIn(row)) continue;
    const value = V[row]!;
    if (classOf[row] === unscoredClass || Number.isNaN(value)) {
      leftOut++;
      continue;
    }
    known[rights + wrongs] = row;
    if (classOf[row] === rightClass) right[rights++] = value;
    else wrong[wrongs++] = value;
  }
  const byClass = { right: right.slice(0, rights), wrong: wrong.slice(0, wrongs) };
  return { known: known.slice(0, rights + wrongs), byClass, leftOut };
}
