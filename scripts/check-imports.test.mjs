// @ts-check
import { describe, expect, it } from 'vitest';
import { faultsOf } from './check-imports.mjs';

describe('imports in src', () => {
  it('may point down', () => {
    expect(faultsOf('views/map.tsx', "import { drawHeatmap } from '../marks/heatmap';")).toEqual([]);
    expect(faultsOf('source/embedded.ts', "import { createClient } from '../inference/client';")).toEqual([]);
  });

  it('may not point up, sideways, or past a folder that hides another', () => {
    expect(faultsOf('math/entropy.ts', "import type { Run } from '../contract/run';")).toHaveLength(1);
    expect(faultsOf('source/embedded.ts', "import { Session } from '../inference/session';")).toHaveLength(1);
    expect(faultsOf('marks/heatmap.ts', "export { run } from '../contract/run';")).toHaveLength(1);
  });

  it('are seen in dynamic imports and worker addresses as well', () => {
    expect(faultsOf('math/a.ts', "const late = await import('../views/app');")).toHaveLength(1);
    expect(faultsOf('views/a.ts', "new URL('../inference/worker.ts', import.meta.url)")).toHaveLength(1);
  });

  it('keep React out of the marks, the runtime out of the views, and Node out of everything but tests', () => {
    expect(faultsOf('marks/a.ts', "import { useRef } from 'react';")).toHaveLength(1);
    expect(faultsOf('views/a.tsx', "import * as ort from 'onnxruntime-web/webgpu';")).toHaveLength(1);
    expect(faultsOf('math/a.ts', "import { readFileSync } from 'node:fs';")).toHaveLength(1);
    expect(faultsOf('math/a.test.ts', "import { readFileSync } from 'node:fs';")).toEqual([]);
  });

  it('come from folders that have a place', () => {
    expect(faultsOf('helpers/a.ts', '')).toHaveLength(1);
  });
});
