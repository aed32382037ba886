// What a companion says over HTTP, beside its streams: who it is, the model it has, why it refuses.
import * as z from 'zod/mini';
import type { components } from './companion-api';
import { supportedFormat } from './run-header';
import { count, headFields, hiddenStateStage, sha256 } from './shared-fields';

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
  stage: hiddenStateStage,
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

/** What a schema parses; compiles only while whatever the API may send is something that it parses. */
type Parsed<Schema extends z.ZodMiniType, _Sent extends z.input<Schema>> = z.infer<Schema>;

type Health = Parsed<typeof health, Schemas['Health']>;
export type CompanionModel = Parsed<typeof model, Schemas['ModelFacts']>;
export type CompanionHead = z.infer<typeof head>;
export type CompanionProblem = Parsed<typeof problem, Schemas['Problem']>;
export type GenerateRequest = Schemas['GenerateRequest'];
export type ExplainBody = Schemas['ExplainRequest'];

/** Throws where it speaks another version of the run format, naming both. */
export function parseHealth(data: unknown): void {
  const result = health.safeParse(data);
  if (!result.success) throw new Error('what answers at this address is no companion');
  const { version, protocol }: Health = result.data;
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
