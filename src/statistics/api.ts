// What is asked of a calibration, and what is answered: the statistics' worker computes it, views draw it. All of it
// is plain data, and crosses from the worker as it is.

import type { CalibrationFacts } from '../contract/calibration';
import type { TableEntropy } from '../contract/calibration-table';
import type { NearestAnswers } from '../math/statistics/answers-like';
import type { AurocInterval } from '../math/statistics/auroc';
import type { RightSide, ThresholdFigures } from '../math/statistics/calibration-threshold';
import type { ClassDensity } from '../math/statistics/class-density';
import type { Histogram } from '../math/statistics/histogram';
import type { Pooling } from '../math/statistics/pooling';

/** A file as it came: `name` decides nothing but what is said of it, and whether it is read as CSV. */
export interface CalibrationFile {
  readonly name: string;
  readonly bytes: ArrayBuffer;
}

/** A table that the worker holds; good until it is closed. */
export interface LoadedCalibration {
  readonly table: number;
  readonly facts: CalibrationFacts | undefined;
  readonly rows: number;
  readonly isPooled: boolean;
  /** Those that the file has, in the order in which they are offered; the first is the default. */
  readonly entropies: readonly TableEntropy[];
  readonly hasLogProbs: boolean;
  readonly hasContent: boolean;
  readonly hasLengths: boolean;
  /** Names of the categories, in the file's order. */
  readonly sets: readonly string[];
  readonly kinds: readonly string[];
  readonly varieties: readonly string[];
  /** Rows whose `correct` is not known: left out wherever right and wrong are told apart. */
  readonly unscored: number;
  readonly right: number;
  readonly wrong: number;
}

/** One number an answer. */
export type AnswerValue =
  | { readonly of: 'entropy'; readonly kind: TableEntropy; readonly pooling: Pooling }
  | { readonly of: 'logProb'; readonly pooling: Pooling }
  | { readonly of: 'length' };

/** Which rows are looked at: all, those of some data sets or kinds, or those that the brushes leave. */
export interface Subset {
  readonly sets?: readonly string[];
  readonly kinds?: readonly string[];
  /** Those that it leaves. */
  readonly filter?: FilterRequest;
}

export interface DistributionRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  /** In the value's unit; Scott's, each class its own, where it is left out. */
  readonly bandwidth?: number;
  /** Times Scott's; left out where `bandwidth` is given. */
  readonly bandwidthFactor?: number;
  /** Of the densities; 256 where left out. */
  readonly points?: number;
  readonly bins?: number;
  /** 0: no bands. 200 where left out. */
  readonly resamples?: number;
  readonly seed?: number;
  /** From and to of points and bins; what there is, with room for the kernel, where left out. */
  readonly extent?: readonly [number, number];
}

export interface ByClass<T> {
  readonly right: T;
  readonly wrong: T;
}

/** Right and wrong answers' values on one axis. */
export interface Distribution {
  /** [points] */
  readonly grid: Float64Array;
  readonly densities: ByClass<ClassDensity>;
  /** Both over the same bins. */
  readonly histograms: ByClass<Histogram>;
  /** Rows whose value is no number, or whose correctness is not known. */
  readonly leftOut: number;
  readonly computeMs: number;
}

export interface ThresholdRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  readonly seed?: number;
}

/** Of answers like this one, how many were right. */
export interface LikeRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  /** This answer's. */
  readonly at: number;
  /** How many of the nearest; 200 where left out. */
  readonly nearest?: number;
}

export type AnswersLike = NearestAnswers;

/** One chart among those that filter each other. */
export type FilterChart =
  | {
      readonly id: string;
      readonly value: AnswerValue;
      readonly bins: number;
      readonly extent?: readonly [number, number];
    }
  | { readonly id: string; readonly category: 'set' | 'kind' | 'variety' | 'correct' };

/** What a chart leaves: values from (included) to (not included, but for the extent's end); or names. */
export type FilterChoice = { readonly range: readonly [number, number] } | { readonly names: readonly string[] };

export interface FilterRequest {
  readonly charts: readonly FilterChart[];
  /** By the charts' ids; a chart without one leaves all. */
  readonly choices: Readonly<Record<string, FilterChoice>>;
  /** Rows whose question, answer or reference holds it, in any case. */
  readonly search?: string;
}

/** Of one chart, under all filters but its own. */
export interface ChartCounts {
  readonly id: string;
  /** [bins + 1] edges, or the categories' names. */
  readonly edges: Float64Array | undefined;
  readonly names: readonly string[] | undefined;
  /** Each [bins]. */
  readonly right: Uint32Array;
  readonly wrong: Uint32Array;
  readonly unscored: Uint32Array;
  /** Rows whose value is no number: in no bin, and gone once the chart filters. */
  readonly leftOut: number;
}

export interface Filtered {
  readonly charts: readonly ChartCounts[];
  /** Rows that all filters leave. */
  readonly rows: number;
  readonly right: number;
  readonly wrong: number;
  readonly computeMs: number;
}

export type RowOrder =
  | { readonly by: AnswerValue | 'correct' | 'file'; readonly descending: boolean }
  | { readonly by: 'set' | 'kind' | 'variety' | 'question' | 'answer'; readonly descending: boolean };

/** A part of the rows, in an order. Rows without a value come last. */
export interface RowsRequest {
  /** Those that it leaves; all where left out. */
  readonly filter?: FilterRequest;
  readonly order: RowOrder;
  readonly offset: number;
  readonly limit: number;
  /** Shown with each row. */
  readonly values: readonly AnswerValue[];
}

export interface CalibrationRow {
  /** Place in the file. */
  readonly row: number;
  readonly id: string;
  readonly set: string;
  readonly kind: string;
  readonly variety: string;
  readonly question: string;
  readonly answer: string;
  readonly reference: string;
  /** NaN where it is not known. */
  readonly correct: number;
  readonly image: string | undefined;
  readonly thumbnail: number | undefined;
  readonly tokens: readonly string[];
  /** In the request's order. */
  readonly values: readonly number[];
}

export interface RowsPage {
  /** Of all that are listed, page by page. */
  readonly total: number;
  readonly rows: readonly CalibrationRow[];
}

export interface PoolingRequest {
  readonly subset?: Subset;
  /** Of each interval; 0: none, their ends are NaN. 200 where left out. */
  readonly resamples?: number;
  readonly seed?: number;
}

/** How well a value tells right from wrong. */
export interface PoolingRow {
  readonly value: AnswerValue;
  readonly pooling: Pooling;
  readonly rightSide: RightSide;
  readonly auroc: AurocInterval;
}

/** Best first: the greatest AUROC, in the direction expected. */
export interface PoolingTable {
  readonly rows: readonly PoolingRow[];
  readonly leftOut: number;
}

export interface ThresholdReport {
  /** Undefined where it cannot be told, with the reason. */
  readonly figures: ThresholdFigures | undefined;
  readonly why: string | undefined;
  readonly auroc: AurocInterval | undefined;
  readonly leftOut: number;
}

/** A map's entropies, token by token: each [tokens], nats. */
export interface MapEntropies {
  readonly sum: Float64Array;
  readonly kde: Float64Array;
  readonly bernoulli: Float64Array;
}

/**
 * The page's end of the statistics' worker. Each call rejects with a sentence. A call of the same kind on the same
 * table, in the same `slot` (by default there is one), takes the place of the one before, whose promise rejects with an
 * AbortError. `load` and `entropies` disturb nothing.
 */
export interface StatisticsClient {
  /** The bytes are transferred: gone here. */
  load(file: CalibrationFile): Promise<LoadedCalibration>;
  close(table: number): void;
  distribution(table: number, request: DistributionRequest, slot?: string): Promise<Distribution>;
  threshold(table: number, request: ThresholdRequest, slot?: string): Promise<ThresholdReport>;
  poolings(table: number, request: PoolingRequest): Promise<PoolingTable>;
  like(table: number, request: LikeRequest, slot?: string): Promise<AnswersLike>;
  filter(table: number, request: FilterRequest): Promise<Filtered>;
  rows(table: number, request: RowsRequest, slot?: string): Promise<RowsPage>;
  /** Of maps [tokens, patches] of probabilities; copied. */
  entropies(maps: Float32Array, tokens: number): Promise<MapEntropies>;
  destroy(): void;
}
