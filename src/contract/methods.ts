// Every way of explaining a token that the page knows, and what is said of it. How each is computed: docs/methods.md.

/** In the order in which they are offered. */
export const methodIds = [
  'fastrm',
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

export interface MethodFacts {
  /** As it is written wherever the method is named. */
  readonly name: string;
  /** What it is computed from. */
  readonly from: 'hidden states' | 'gradients' | 'attention' | 'nothing';
  /** `estimate`: of another method's map, which its sentence names. */
  readonly kind: 'exact' | 'estimate' | 'control';
  /** `probability`: 0..1, comparable between maps. `magnitude`: at least 0, of no unit: only its place within one map says anything. */
  readonly values: 'probability' | 'magnitude';
  /** Whether it also weighs the prompt's words and the answer's earlier tokens. */
  readonly hasText: boolean;
  /** One sentence for the page. */
  readonly says: string;
  readonly paper: string;
}

const chefer = 'Chefer et al. 2021';

export const methods: Readonly<Record<MethodId, MethodFacts>> = {
  fastrm: {
    name: 'FastRM',
    from: 'hidden states',
    kind: 'estimate',
    values: 'probability',
    hasText: false,
    says: 'A small head that learned from Chefer’s maps which patches are relevant; no gradient.',
    paper: 'Ben Melech Stan et al. 2024',
  },
  chefer: {
    name: 'Chefer, exact',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    hasText: true,
    says: 'Attention weighted by its gradient, rolled through all layers: the baseline that FastRM learned from.',
    paper: chefer,
  },
  'chefer-incremental': {
    name: 'Chefer, incremental',
    from: 'gradients',
    kind: 'estimate',
    values: 'magnitude',
    hasText: true,
    says: 'Chefer’s map with a cache: the prompt keeps the first token’s gradients. An estimate of the exact one.',
    paper: `${chefer}, as in lvlm-interpret`,
  },
  gradcam: {
    name: 'GradCAM, attention',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    hasText: true,
    says: 'The last layer’s attention, each head weighted by its mean gradient.',
    paper: 'Selvaraju et al. 2017',
  },
  'feature-gradcam': {
    name: 'GradCAM, features',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    hasText: false,
    says: 'A middle layer’s features at the patches, each channel weighted by its mean positive gradient.',
    paper: 'Selvaraju et al. 2017',
  },
  'dex-ar': {
    name: 'DEX-AR',
    from: 'gradients',
    kind: 'exact',
    values: 'magnitude',
    hasText: false,
    says: 'Each layer’s own guess at the token, differentiated; heads that look at the text are left out.',
    paper: 'arXiv 2603.06302',
  },
  tam: {
    name: 'TAM',
    from: 'hidden states',
    kind: 'exact',
    values: 'magnitude',
    hasText: true,
    says: 'How strongly each patch’s own state would say the token, less what earlier tokens account for.',
    paper: 'Token activation map, ICCV 2025',
  },
  rollout: {
    name: 'Attention rollout',
    from: 'attention',
    kind: 'exact',
    values: 'magnitude',
    hasText: true,
    says: 'Attention multiplied through all layers: a baseline that knows nothing of the token.',
    paper: 'Abnar & Zuidema 2020',
  },
  attention: {
    name: 'Raw attention',
    from: 'attention',
    kind: 'exact',
    values: 'magnitude',
    hasText: true,
    says: 'The last layer’s attention, mean of its heads: the plainest baseline.',
    paper: 'Vaswani et al. 2017',
  },
  random: {
    name: 'Random',
    from: 'nothing',
    kind: 'control',
    values: 'magnitude',
    hasText: false,
    says: 'The mean of five random maps: what any other method must beat.',
    paper: '',
  },
};
