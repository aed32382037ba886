import * as z from 'zod/mini';
import { estimate } from './shared-fields';

const column = z.array(z.nullable(z.number()));
const interval = z.object({ low: column, high: column });

const figure = z.object({
  label: z.string(),
  value: z.number(),
  /** The 95 % interval of an estimated figure. */
  interval: z.optional(z.tuple([z.number(), z.number()])),
});

const spread = z.object({
  /** Edges of the bins: scores relative to their map's maximum. */
  edges: z.array(z.number()),
  /** Number of patches of all maps. */
  patches: z.number(),
  /** Share of the patches in each bin, by the maker of the maps. */
  shares: z.record(z.string(), z.array(estimate)),
});

const report = z.object({
  title: z.string(),
  command: z.string(),
  measuredOn: z.string(),
  figures: z.array(figure),
  curve: z.object({
    threshold: z.array(z.number()),
    accuracy: column,
    precision: column,
    recall: column,
    f1: column,
    /** Pointwise 95 % intervals; absent in older reports. */
    intervals: z.optional(z.object({ accuracy: interval, f1: interval })),
  }),
  /** How patch scores are spread within their maps; absent in older reports. */
  spread: z.optional(spread),
});

/** How well a head imitates its teacher on held-out answers: figures, and a curve over classification thresholds. */
export type HeadReport = z.infer<typeof report>;
export type HeadFigure = z.infer<typeof figure>;
export type ScoreSpread = z.infer<typeof spread>;

/** Throws an error that names the invalid fields, if any. */
export function parseHeadReport(data: unknown): HeadReport {
  const result = report.safeParse(data);
  if (!result.success) throw new Error(`the head's report is invalid: ${z.prettifyError(result.error)}`);
  return result.data;
}

export function figureOf({ figures }: HeadReport, label: string): HeadFigure | undefined {
  return figures.find((figure) => figure.label === label);
}
