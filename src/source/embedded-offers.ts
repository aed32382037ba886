import type { ModelManifest } from '../contract/manifest';
import { type MethodId, methodIds, methods } from '../contract/methods';
import type { RunHeader } from '../contract/run';
import { type ExplainerMethod, explainerMethods } from '../inference/model-client';
import { fastrmRefusal } from './explain-in-page';
import type { MethodOffer, SourceStatus } from './run-source';

/** The methods the embedded model offers for a live or recorded run. `manifest` is undefined until it is loaded. */
export function embeddedOffers(
  header: RunHeader,
  status: SourceStatus,
  manifest: ModelManifest | undefined,
): readonly MethodOffer[] {
  return methodIds.map((method) => ({ method, refusal: refusalOf(method, header, status, manifest) }));
}

export function isExplainerMethod(method: MethodId): method is ExplainerMethod {
  return explainerMethods.some((one) => one === method);
}

function refusalOf(
  method: MethodId,
  header: RunHeader,
  status: SourceStatus,
  manifest: ModelManifest | undefined,
): string | undefined {
  if (method === 'random') return undefined;
  if (method === 'fastrm') return fastrmRefusal(header);
  if (!isExplainerMethod(method)) return `${methods[method].name} is computed by the companion only.`;
  if (header.images !== undefined) return 'The model in this page reads one image at a time.';
  if (manifest === undefined) {
    return status.phase === 'failed'
      ? 'The model in this page could not be loaded.'
      : 'The model in this page is still loading.';
  }
  const { name, revision } = header.model;
  if (name !== manifest.name || revision !== manifest.revision)
    return `This answer is from ${name} ${revision}; the model in this page is ${manifest.name} ${manifest.revision}.`;
  return manifest.explain ? undefined : `${name} was built without graphs for explaining its answers.`;
}
