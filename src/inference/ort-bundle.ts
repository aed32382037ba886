// Which build of onnxruntime-web to load. Its glue (.mjs) and its binary (.wasm) are files of the page's own origin,
// found by Vite; the binary is fetched here, so that its bytes count in the progress bar.
import asyncifyGlueUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import asyncifyBinaryUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import jspiGlueUrl from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url';
import jspiBinaryUrl from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url';
import plainGlueUrl from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import plainBinaryUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';

export type Ort = typeof import('onnxruntime-web');

export interface OrtBundle {
  readonly glueUrl: string;
  readonly binaryUrl: string;
  /** Of the binary, as shipped; only the progress bar rests on it. */
  readonly bytes: number;
  importOrt(): Promise<Ort>;
}

const plain: OrtBundle = {
  glueUrl: plainGlueUrl,
  binaryUrl: plainBinaryUrl,
  bytes: 14_239_897,
  importOrt: () => import('onnxruntime-web/wasm'),
};

const jspi: OrtBundle = {
  glueUrl: jspiGlueUrl,
  binaryUrl: jspiBinaryUrl,
  bytes: 16_758_545,
  importOrt: () => import('onnxruntime-web/jspi'),
};

const asyncify: OrtBundle = {
  glueUrl: asyncifyGlueUrl,
  binaryUrl: asyncifyBinaryUrl,
  bytes: 26_781_914,
  importOrt: () => import('onnxruntime-web/webgpu'),
};

export const ortBundles = { plain, jspi, asyncify };

/** WebGPU needs a build that can suspend: by the engine (JSPI) or, 10 MB larger, by rewritten code (asyncify). */
export function chooseOrtBundle(wanted: { readonly webgpu: boolean; readonly suspending: boolean }): OrtBundle {
  if (!wanted.webgpu) return plain;
  return wanted.suspending ? jspi : asyncify;
}
