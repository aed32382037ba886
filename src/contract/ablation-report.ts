import * as z from 'zod/mini';
import { estimate } from './shared-fields';

const row = z.object({
  /** The value of the varied option. */
  label: z.string(),
  /** Whether this is the paper's recipe, of which the others vary one option. */
  isPaper: z.boolean(),
  /** Tokens trained on. */
  tokens: z.number(),
  /** Training steps. */
  steps: z.number(),
  /** Classification threshold with the best F1 on the other half of the scenes. */
  threshold: z.number(),
  f1: z.nullable(estimate),
  spearman: z.nullable(estimate),
  /** Share of words not in the question whose highest patch is on the object. */
  pointing: z.nullable(estimate),
  /** Mean probability of the answer's tokens, over 0 to 20 % of the patches barred, highest first; less is better. */
  area: z.nullable(estimate),
  areaOverRandom: z.nullable(estimate),
  areaOverChefer: z.nullable(estimate),
});

const report = z.object({
  title: z.string(),
  command: z.string(),
  measuredOn: z.string(),
  ablations: z.array(z.object({ name: z.string(), rows: z.array(row).check(z.minLength(1)) })),
});

/** How well heads imitate their teacher if one option of their training is varied. */
export type AblationReport = z.infer<typeof report>;
export type Ablation = AblationReport['ablations'][number];
export type AblationRow = z.infer<typeof row>;

/** Throws an error that names the invalid fields, if any. */
export function parseAblationReport(data: unknown): AblationReport {
  const result = report.safeParse(data);
  if (!result.success) throw new Error(`the report on ablations is invalid: ${z.prettifyError(result.error)}`);
  return result.data;
}
