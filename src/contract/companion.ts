// The companion's JSON responses: health, model facts and problem documents. Its streams are parsed elsewhere.
import * as z from 'zod/mini';
import type { components } from './companion-api';
import { supportedFormat } from './run-header';
import { count, headFields, hiddenStateStage, sha256 } from './shared-fields';

type Schemas = components['schemas'];

const health = z.object({ version: z.string(), protocol: z.int() });

const file = z.object({
  /** Relative to the API's base URL. */
  path: z.string().check(z.regex(/^(?!.*\.\.)[\w-][\w./?=-]*$/)),
  bytes: count,
  sha256,
});

const head = z.object({
  ...headFields,
  hiddenSize: count,
  files: z.object({
    graph: file,
    normGraph: file,
    weights: file,
    /** The graph's weights for the prompt's tokens; null if the head has none. */
    textWeights: z._default(z.nullable(file), null),
  }),
});

const calibration = z.object({ ...file.shape, n: count });

const model = z.object({
  name: z.string(),
  revision: z.string(),
  /** Identity of the weights; null if unknown. Companions of an earlier version do not send it. */
  weights: z._default(z.nullable(z.string()), null),
  family: z.string(),
  hiddenSize: count,
  stage: hiddenStateStage,
  dtype: z.string(),
  /** The PyTorch device: "cpu", "cuda:0". */
  device: z.string(),
  knows: z.string(),
  limits: z.object({
    imageBytes: count,
    imagePixels: count,
    /** Companions of an earlier version read one image. */
    images: z._default(count, 1),
    imageAspectRatio: count,
    unembeddingIds: count,
  }),
  /** Methods that can explain the model's answers; the page ignores unknown names. */
  methods: z.array(z.string()),
  /** Methods that the model rules out, with the reasons. Companions of an earlier version do not list them. */
  refusedMethods: z._default(z.array(z.object({ method: z.string(), reason: z.string() })), []),
  /** Whether the companion can send rows of the model's unembedding (lm_head). */
  unembedding: z.boolean(),
  /** Whether it can send them with an answer's tokens. An earlier version would refuse to be asked for them. */
  streamsUnembedding: z._default(z.boolean(), false),
  head: z.nullable(head),
  calibration: z.nullable(calibration),
  trainCommand: z.string(),
});

const problem = z.object({ detail: z.string() });

/** The output type of a schema; compiles only if the schema accepts every value that the API may send. */
type Parsed<Schema extends z.ZodMiniType, _Sent extends z.input<Schema>> = z.infer<Schema>;

type Health = Parsed<typeof health, Schemas['Health']>;
export type CompanionModel = Parsed<typeof model, Schemas['ModelFacts']>;
export type CompanionHead = z.infer<typeof head>;
export type CompanionProblem = Parsed<typeof problem, Schemas['Problem']>;
export type GenerateRequest = Schemas['GenerateRequest'];
export type ExplainBody = Schemas['ExplainRequest'];

/** Throws if the companion uses another version of the run format; the error names both versions. */
export function parseHealth(data: unknown): void {
  const result = health.safeParse(data);
  if (!result.success) throw new Error('the server at this address is not a companion');
  const { version, protocol }: Health = result.data;
  if (protocol !== supportedFormat) {
    throw new Error(`the companion (${version}) uses protocol ${protocol}; this page supports ${supportedFormat}`);
  }
}

/** Throws an error that names the invalid fields, if any. */
export function parseCompanionModel(data: unknown): CompanionModel {
  const result = model.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`the companion's description of its model is invalid: ${z.prettifyError(result.error)}`);
}

/** Parses the problem document of a refused request; undefined if `data` is not a problem document. */
export function parseProblem(data: unknown): CompanionProblem | undefined {
  return problem.safeParse(data).data;
}
