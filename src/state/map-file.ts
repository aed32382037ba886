import { type MethodId, methods } from '../contract/methods';
import { type HeadFacts, imagesOf, type RelevancyMap, type ReproductionCheck } from '../contract/run';
import { ranksDescending } from '../math/maps/map-values';
import { shortened } from '../text/visible-text';
import type { Pool } from './compare-settings';
import { headWarning } from './head-warning';
import type { RunSnapshot } from './run-record';
import type { ShownFrame } from './shown-frame';

export interface Exported {
  readonly run: RunSnapshot;
  readonly frame: ShownFrame;
  /** In the unit of the map's values. */
  readonly threshold: number;
}

export interface ExportedMap {
  readonly method: MethodId;
  /** Row-major over the frame's grid: probabilities, or shares of the map's maximum over all frames and images. */
  readonly values: Float32Array;
  readonly tokenIndices: readonly number[];
  readonly pool: Pool;
  readonly computeMs: number;
  readonly backend: RelevancyMap['backend'];
  /** The head that computed the map, if it is not the one in the run's header. */
  readonly head?: HeadFacts | undefined;
  readonly check?: ReproductionCheck | undefined;
}

const poolWords: Record<Pool, string> = { mean: 'mean', max: 'maximum', grounded: 'DEX-AR-weighted mean' };

/** Records how the exported numbers were made. */
function provenance({ run, frame, threshold }: Exported, map: ExportedMap) {
  const { header, tokens } = run;
  const warning = headWarning(header);
  return {
    question: header.question,
    ...(header.askedAs !== undefined && { askedAs: header.askedAs }),
    answer: tokens.map((token) => token.text).join(''),
    tokens: map.tokenIndices.map((index) => ({ index, text: tokens[index]?.text, logProb: tokens[index]?.logProb })),
    averaged: map.tokenIndices.length > 1,
    ...(map.tokenIndices.length > 1 && { pooledBy: poolWords[map.pool] }),
    method: methods[map.method].name,
    methodKind: methods[map.method].kind,
    unit: methods[map.method].values === 'probability' ? 'probability' : 'share of the map’s maximum',
    model: header.model,
    ...(map.head && { head: map.head }),
    ...(map.method === 'fastrm' && { head: header.head, ...(warning !== undefined && { warning }) }),
    ...(map.check && { reproduction: map.check }),
    backend: map.backend,
    computeMs: map.computeMs,
    threshold,
    sampling: header.sampling,
    frame: frame.name,
    geometry: header.geometry,
    image: imagesOf(header)[frame.image]!.name,
    ...(frame.images > 1 && {
      imageIndex: frame.image,
      images: imagesOf(header).map(({ name, picture: { widthPx, heightPx } }) => ({ name, widthPx, heightPx })),
    }),
    run: header.id,
    createdAt: header.createdAt,
  };
}

/** The values as nested rows, with their provenance. */
export function mapAsJson(exported: Exported, map: ExportedMap): string {
  const { grid } = exported.frame.placement;
  const rows = Array.from({ length: grid.rows }, (_, row) =>
    Array.from(map.values.subarray(row * grid.cols, (row + 1) * grid.cols)),
  );
  return `${JSON.stringify({ ...provenance(exported, map), values: rows }, null, 1)}\n`;
}

/** One line per patch, with rows and columns counted from 1 as on the page; `#` lines at the top give the provenance. */
export function mapAsCsv(exported: Exported, map: ExportedMap): string {
  const { grid } = exported.frame.placement;
  const ranks = ranksDescending(map.values);
  const notes = Object.entries(provenance(exported, map)).map(([key, value]) => `# ${key}: ${JSON.stringify(value)}`);
  const lines = Array.from(map.values, (value, i) =>
    [Math.floor(i / grid.cols) + 1, (i % grid.cols) + 1, value, ranks[i], value >= exported.threshold].join(','),
  );
  return `${[...notes, 'row,col,relevancy,rank,at_or_above_threshold', ...lines].join('\n')}\n`;
}

/** Three caption lines to put below an image, and a fourth if the head was not trained on the model. */
export function mapCaption({ run, frame, threshold }: Exported, map: ExportedMap): string[] {
  const { header, tokens } = run;
  const words = map.tokenIndices.map((index) => tokens[index]?.text ?? '').join('');
  const { model, head: own } = header;
  const warning = map.method === 'fastrm' ? headWarning(header) : undefined;
  const head = map.method === 'fastrm' ? own : map.head;
  const facts = [
    `${methods[map.method].name}${head ? ` by ${head.name} ${head.revision}` : ''}`,
    ...(map.tokenIndices.length > 1 ? [`${poolWords[map.pool]} of ${map.tokenIndices.length} maps`] : []),
    ...(frame.images > 1 ? [`image ${frame.image + 1} of ${frame.images}`] : []),
    ...(frame.all.length > 1 ? [`${frame.name} frame`] : []),
    `outlined at ${threshold.toFixed(2)}${methods[map.method].values === 'probability' ? '' : ' of its maximum'} and above`,
  ];
  return [
    `“${shortened(words.trim())}”  in answer to  ${shortened(header.question, 120)}`,
    facts.join(', '),
    `${model.name} ${model.revision}, ${own?.stage ?? model.stage} states, ${map.backend}  ·  Patchlight`,
    ...(warning !== undefined ? [warning] : []),
  ];
}

/** The name of a map's file without its extension; `method` is left out if undefined. */
export function mapFileName(texts: readonly string[], method: string | undefined): string {
  const words = [...texts, method === undefined ? '' : ` ${method}`].join('').replaceAll('+', ' plus');
  const slug = words.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
  return `patchlight-${slug.slice(0, 60) || 'map'}`;
}
