import type { AurocInterval } from './auroc';
import type { RightSide } from './calibration-threshold';
import type { Pooling } from './pooling';

/** How well one pooling tells right from wrong. */
export interface PoolingRow {
  readonly pooling: Pooling;
  readonly rightSide: RightSide;
  readonly auroc: AurocInterval;
}
