// What a companion says over HTTP, beside its streams: who it is, the model it has, why it refuses.
import * as z from 'zod/mini';
import type { components } from './companion-api';
import { supportedFormat } from './run-header';
import { count, headFields, sha256, stage } from './shared-fields';

type Schemas = components['schemas'];

const health = z.object({ version: z.string(), protocol: z.int() });

const file = z.object({
  /** From the API's own address. */
  path: z.string().check(z.regex(/^(?!.*\.\.)[\w-][\w./?=-]*$/)),
  bytes: count,
  sha256,
});

const head = z.object({
  ...headFields,
  hiddenSize: count,
  files: z.object({ graph: file, normGraph: file, weights: file }),
});

const calibration = z.object({ ...file.shape, n: count });

const model = z.object({
  name: z.string(),
  revision: z.string(),
  family: z.string(),
  hiddenSize: count,
  stage,
  dtype: z.string(),
  /** As PyTorch names it: "cpu", "cuda:0". */
  device: z.string(),
  knows: z.string(),
  limits: z.object({ imageBytes: count, imageFormats: z.array(z.string()), unembeddingIds: count }),
  /** Of its answers; names that this page does not know are of no use to it. */
  methods: z.array(z.string()),
  /** Whether rows of its vocabulary layer can be had. */
  unembedding: z.boolean(),
  head: z.nullable(head),
  calibration: z.nullable(calibration),
  trainCommand: z.string(),
});

const problem = z.object({ detail: z.string() });

export type CompanionModel = z.infer<typeof model>;
export type CompanionHead = z.infer<typeof head>;
export type CompanionCalibration = z.infer<typeof calibration>;
export type CompanionProblem = z.infer<typeof problem>;
export type GenerateRequest = Schemas['GenerateRequest'];
export type ExplainBody = Schemas['ExplainRequest'];

/** Compiles only while whatever the API may send is something that is parsed here. */
type Covers<Sent extends Parsed, Parsed> = [Sent, Parsed];
export type Covered = [
  Covers<Schemas['Health'], z.input<typeof health>>,
  Covers<Schemas['ModelFacts'], z.input<typeof model>>,
  Covers<Schemas['Problem'], z.input<typeof problem>>,
];

/** Throws where it speaks another version of the run format, naming both. */
export function parseHealth(data: unknown): void {
  const result = health.safeParse(data);
  if (!result.success) throw new Error('what answers at this address is no companion');
  const { version, protocol } = result.data;
  if (protocol !== supportedFormat) {
    throw new Error(`the companion (${version}) speaks protocol ${protocol}; this page reads ${supportedFormat}`);
  }
}

/** Throws with the places that do not fit. */
export function parseCompanionModel(data: unknown): CompanionModel {
  const result = model.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`what the companion says of its model cannot be read: ${z.prettifyError(result.error)}`);
}

/** What a refusal says for people; undefined where it is no problem document. */
export function parseProblem(data: unknown): CompanionProblem | undefined {
  return problem.safeParse(data).data;
}
