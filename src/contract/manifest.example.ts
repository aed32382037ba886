import type { ExplainFacts, ModelManifest } from './manifest';
import type { OtherHeadMethod } from './methods';

/** A manifest like the exporter's, for tests; its hashes do not match any file. */
export function exampleManifest(): ModelManifest {
  const paths = [
    'vision.onnx',
    'embed.onnx',
    'decoder.onnx',
    'head/fastrm.onnx',
    'head/fastrm-norm.onnx',
    'head/fastrm.bin',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  return {
    formatVersion: 1,
    name: 'patchlight-scenes',
    revision: '0123456789ab',
    licence: 'Apache-2.0',
    knows: 'Rendered scenes.',
    model: {
      hiddenSize: 192,
      layers: 5,
      kvHeads: 4,
      headDim: 48,
      vocabularySize: 136,
      maxPositions: 1024,
      hiddenStateStage: 'post_norm',
    },
    image: {
      sizePx: 336,
      patchPx: 14,
      grid: { rows: 24, cols: 24 },
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
      resample: 'bicubic',
      crop: 'center',
      description: 'shorter side to 336 px (bicubic), centre crop',
    },
    prompt: {
      template: 'USER: <image>\n{question} ASSISTANT:',
      bosTokenId: 1,
      eosTokenId: 2,
      imageTokenId: 4,
      unkTokenId: 3,
      neverSeen: [],
      synonyms: {},
      maxQuestionTokens: 48,
      maxNewTokens: 96,
      caseFallback: 'lower',
    },
    graphs: { vision: 'vision.onnx', embed: 'embed.onnx', decoder: 'decoder.onnx' },
    head: {
      graph: 'head/fastrm.onnx',
      normGraph: 'head/fastrm-norm.onnx',
      weights: 'head/fastrm.bin',
      name: 'fastrm',
      revision: 'ab',
      stage: 'post_norm',
      teacher: 'Chefer relevancy, exact',
      labellingThreshold: 0.3,
      classificationThreshold: 0.4,
      hiddenSize: 192,
    },
    tokenizer: ['tokenizer.json', 'tokenizer_config.json'],
    files: fileEntries(paths),
  };
}

/** The same manifest, with graphs that explain the model's answers. */
export function exampleExplainManifest(): ModelManifest & { explain: ExplainFacts } {
  const graphs = {
    chefer: 'explain-chefer.onnx',
    gradcam: 'explain-gradcam.onnx',
    'feature-gradcam': 'explain-feature-gradcam.onnx',
    'dex-ar': 'explain-dex-ar.onnx',
    attention: 'explain-attention.onnx',
  };
  const explain = {
    trace: 'explain-trace.onnx',
    graphs,
    weights: 'decoder.onnx',
    unembedding: 'explain-unembedding.bin',
    featureLayer: 2,
    firstLensLayer: 0,
    files: fileEntries(['explain-trace.onnx', ...Object.values(graphs), 'explain-unembedding.bin']),
  };
  return { ...exampleManifest(), explain };
}

/** The same manifest, with further heads, for 5 layers of 4 attention heads. */
export function exampleHeadsManifest() {
  const { head, ...manifest } = exampleManifest();
  const { graph: _graph, normGraph: _norm, weights: _weights, textWeights: _text, ...facts } = head;
  const other = (method: OtherHeadMethod, classificationThreshold: number) => {
    const [graph, weights] = [`head/${method}/fastrm.onnx`, `head/${method}/fastrm.bin`];
    return { ...facts, name: method, graph, weights, classificationThreshold, files: fileEntries([graph, weights]) };
  };
  const attention = { weights: Array.from({ length: 20 }, (_, f) => f / 20), epsilon: 1e-6 };
  const otherHeads = {
    'fastrm-paper': other('fastrm-paper', 0.5),
    'fastrm-plus': { ...other('fastrm-plus', 0.35), attention },
  };
  return { ...manifest, head, otherHeads };
}

function fileEntries(paths: readonly string[]): ModelManifest['files'] {
  return Object.fromEntries(paths.map((path) => [path, { sha256: 'a'.repeat(64), bytes: 100 }]));
}
