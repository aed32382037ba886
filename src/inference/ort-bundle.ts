// Chooses the build of onnxruntime-web. Its glue (.mjs) and binary (.wasm) are served from the page's origin and
// resolved by Vite; the page fetches the binary itself, so its bytes count towards the progress bar.
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
  /** Size of the shipped binary; used only by the progress bar. */
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

/** WebGPU needs a build that can suspend, either natively (JSPI) or with rewritten code (asyncify, 10 MB larger). */
export function chooseOrtBundle(needs: { readonly webgpu: boolean; readonly suspending: boolean }): OrtBundle {
  if (!needs.webgpu) return plain;
  return needs.suspending ? jspi : asyncify;
}
