import type { AnswerStates } from '../contract/answer-states';
import type { ModelManifest } from '../contract/manifest';
import { isOtherHeadMethod, type MethodId, methodIds, methods, type OtherHeadMethod } from '../contract/methods';
import type { HeadFacts, RunHeader } from '../contract/run';
import { type ExplainerMethod, explainerMethods } from '../inference/model-client';
import { fastrmRefusal } from './explain-in-page';
import type { MethodOffer, SourceStatus } from './run-source';

/** A live or recorded run, and what is known about the model in this page. */
export interface OffersRequest {
  readonly header: RunHeader;
  /** Undefined if they are not kept. */
  readonly states: AnswerStates | undefined;
  readonly status: SourceStatus;
  /** Undefined until it is loaded. */
  readonly manifest: ModelManifest | undefined;
}

/** The methods the embedded model offers for a run. */
export function embeddedOffers(request: OffersRequest): readonly MethodOffer[] {
  const { otherHeads } = request.manifest ?? {};
  return methodIds.map((method) => {
    const head = isOtherHeadMethod(method) ? otherHeads?.[method] : undefined;
    return { method, refusal: refusalOf(method, request), ...(head && { head: headFacts(head) }) };
  });
}

export function headFacts(head: HeadFacts): HeadFacts {
  const { name, revision, stage, teacher, labellingThreshold, classificationThreshold } = head;
  return { name, revision, stage, teacher, labellingThreshold, classificationThreshold };
}

export function isExplainerMethod(method: MethodId): method is ExplainerMethod {
  return explainerMethods.some((one) => one === method);
}

function refusalOf(method: MethodId, request: OffersRequest): string | undefined {
  const { header, status, manifest } = request;
  if (method === 'random') return undefined;
  if (method === 'fastrm') return fastrmRefusal(header);
  const isOtherHead = isOtherHeadMethod(method);
  if (!isOtherHead && !isExplainerMethod(method)) return `${methods[method].name} is computed by the companion only.`;
  if (header.images !== undefined) return 'The model in this page reads one image at a time.';
  if (manifest === undefined) {
    return status.phase === 'failed'
      ? 'The model in this page could not be loaded.'
      : 'The model in this page is still loading.';
  }
  const { name, revision } = header.model;
  if (name !== manifest.name || revision !== manifest.revision)
    return `This answer is from ${name} ${revision}; the model in this page is ${manifest.name} ${manifest.revision}.`;
  if (isOtherHead) return otherHeadRefusal(method, request, manifest);
  return manifest.explain ? undefined : `${name} was built without graphs for explaining its answers.`;
}

/** `manifest` is that of the model that answered. */
function otherHeadRefusal(
  method: OtherHeadMethod,
  { header, states }: OffersRequest,
  { otherHeads, name }: ModelManifest,
): string | undefined {
  const head = otherHeads?.[method];
  if (head === undefined) return `${name} was built without this head.`;
  if (states === undefined)
    return 'The hidden states of this answer were not kept; ask again to get maps of this head.';
  if (method !== 'fastrm-plus') return undefined;
  const { attentionLogitsOf: weighedFor } = header;
  if (weighedFor === undefined || states.tokens.some(({ attentionLogits }) => attentionLogits === undefined)) {
    return 'FastRM+ needs attention besides hidden states, and none was kept of this answer; ask again to get its maps.';
  }
  if (weighedFor.revision === head.revision) return undefined;
  return `The attention of this answer was kept for FastRM+ head ${weighedFor.name} ${weighedFor.revision}; this page has ${head.name} ${head.revision}. Ask again to get its maps.`;
}
