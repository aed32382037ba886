// All methods that the page knows, with their descriptions. docs/methods.md says how each is computed.

/** In display order. */
export const methodIds = [
  'fastrm',
  'fastrm-paper',
  'fastrm-plus',
  'chefer',
  'chefer-incremental',
  'gradcam',
  'feature-gradcam',
  'dex-ar',
  'tam',
  'rollout',
  'attention',
  'random',
] as const;

export type MethodId = (typeof methodIds)[number];

/** Methods whose maps a trained head predicts. Their values are probabilities, each with the head's own threshold. */
export const headMethods = ['fastrm', 'fastrm-paper', 'fastrm-plus'] as const satisfies readonly MethodId[];
export type HeadMethod = (typeof headMethods)[number];

/** Of heads that a model may have besides FastRM's; their maps are computed on request. */
export const otherHeadMethods = ['fastrm-paper', 'fastrm-plus'] as const satisfies readonly HeadMethod[];
export type OtherHeadMethod = (typeof otherHeadMethods)[number];

export function isHeadMethod(method: MethodId): method is HeadMethod {
  return headMethods.some((one) => one === method);
}

export function isOtherHeadMethod(method: MethodId): method is OtherHeadMethod {
  return otherHeadMethods.some((one) => one === method);
}

/**
 * `shares`: the prompt's and the earlier answer's tokens are weighed in the unit of the patches, so that all have one
 * total. `probabilities`: of the prompt's tokens only, without a total, and only if the head has that output. `none`:
 * patches only.
 */
type WordValues = 'shares' | 'probabilities' | 'none';

export interface MethodFacts {
  /** Display name. */
  readonly name: string;
  /** What it is computed from. */
  readonly from: 'hidden states' | 'hidden states and attention' | 'gradients' | 'attention' | 'nothing';
  /** `estimate`: approximates the map of another method, which the description names. */
  readonly kind: 'exact' | 'estimate' | 'control';
  /** `probability`: 0..1, comparable between maps. `magnitude`: at least 0, no unit, meaningful only within one map. */
  readonly values: 'probability' | 'magnitude';
  /** What the method gives to words; a map holds it as its `text`. */
  readonly words: WordValues;
  /** One sentence, shown on the page. */
  readonly description: string;
  readonly paper: string;
}

const chefer = 'Chefer et al. 2021';

/** Whether the method needs another pass of the model; the others read only what an answer leaves behind. */
export function needsModelPass(method: MethodId): boolean {
  const { from } = methods[method];
  return from === 'gradients' || from === 'attention';
}

export const methods: Readonly<Record<MethodId, MethodFacts>> = {
  fastrm: {
    name: 'FastRM',
    from: 'hidden states',
    kind: 'estimate',
    values: 'probability',
    words: 'probabilities',
    description: 'A small head trained to predict Chefer’s maps from hidden states; needs no gradients.',
    paper: 'Ben Melech Stan et al. 2024',
  },
  'fastrm-paper': {
    name: 'FastRM, paper’s recipe',
    from: 'hidden states',
    kind: 'estimate',
    values: 'probability',
    words: 'none',
    description:
      'The same architecture trained with the paper’s loss, binary cross-entropy on labels, to compare it with FastRM.',
    paper: 'Ben Melech Stan et al. 2024',
  },
  'fastrm-plus': {
    name: 'FastRM+',
    from: 'hidden states and attention',
    kind: 'estimate',
    values: 'probability',
    words: 'none',
    description:
      'FastRM that also reads the token’s attention over the patches, so it needs more than last hidden states.',
    paper: 'extends Ben Melech Stan et al. 2024',
  },
  chefer: {
    name: 'Chefer, exact',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    words: 'shares',
    description: 'Attention weighted by its gradient, accumulated over all layers. FastRM is trained on these maps.',
    paper: chefer,
  },
  'chefer-incremental': {
    name: 'Chefer, incremental',
    from: 'gradients',
    kind: 'estimate',
    values: 'magnitude',
    words: 'shares',
    description: 'Estimates Chefer’s exact map with a cache: the prompt keeps the gradients of the first token.',
    paper: `${chefer}, as in lvlm-interpret`,
  },
  gradcam: {
    name: 'GradCAM, attention',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    words: 'shares',
    description: 'Last-layer attention, each attention head weighted by its mean gradient.',
    paper: 'Selvaraju et al. 2017',
  },
  'feature-gradcam': {
    name: 'GradCAM, features',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    words: 'none',
    description: 'Patch features of a middle layer, each channel weighted by its mean positive gradient.',
    paper: 'Selvaraju et al. 2017',
  },
  'dex-ar': {
    name: 'DEX-AR',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    words: 'none',
    description:
      'Gradients of each layer’s own prediction of the token; attention heads that focus on text are left out.',
    paper: 'arXiv 2603.06302',
  },
  tam: {
    name: 'TAM',
    from: 'hidden states',
    kind: 'exact',
    values: 'magnitude',
    words: 'shares',
    description: 'How strongly each patch’s hidden state predicts the token, minus what earlier tokens explain.',
    paper: 'Token activation map, ICCV 2025',
  },
  rollout: {
    name: 'Attention rollout',
    from: 'attention',
    kind: 'exact',
    values: 'magnitude',
    words: 'shares',
    description: 'Attention multiplied through all layers: a baseline that does not depend on which token was chosen.',
    paper: 'Abnar & Zuidema 2020',
  },
  attention: {
    name: 'Raw attention',
    from: 'attention',
    kind: 'exact',
    values: 'magnitude',
    words: 'shares',
    description: 'Last-layer attention, averaged over its heads: the simplest baseline.',
    paper: 'Vaswani et al. 2017',
  },
  random: {
    name: 'Random',
    from: 'nothing',
    kind: 'control',
    values: 'magnitude',
    words: 'none',
    description: 'The mean of five random maps: a control that every other method must beat.',
    paper: '',
  },
};
