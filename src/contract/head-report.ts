import * as z from 'zod/mini';

const column = z.array(z.nullable(z.number()));

const report = z.object({
  title: z.string(),
  command: z.string(),
  measuredOn: z.string(),
  figures: z.array(z.object({ label: z.string(), value: z.number() })),
  curve: z.object({ threshold: z.array(z.number()), accuracy: column, precision: column, recall: column, f1: column }),
});

/** How well a head imitates its teacher on held-out answers: figures, and a curve over classification thresholds. */
export type HeadReport = z.infer<typeof report>;

/** Throws an error that names the invalid fields, if any. */
export function parseHeadReport(data: unknown): HeadReport {
  const result = report.safeParse(data);
  if (!result.success) throw new Error(`the head's report is invalid: ${z.prettifyError(result.error)}`);
  return result.data;
}

export function figureOf({ figures }: HeadReport, label: string): number | undefined {
  return figures.find((figure) => figure.label === label)?.value;
}
