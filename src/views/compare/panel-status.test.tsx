import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import type { HeadFacts } from '../../contract/run';
import { exampleHead, exampleHeader } from '../../contract/run.example';
import type { PanelMap } from '../../state/panel-map';
import { PanelStatus } from './panel-status';
import type { ShownComparison } from './use-shown-comparison';

const shown = {
  record: { id: 'run 1' },
  run: {
    header: { ...exampleHeader, head: { ...exampleHead, match: 'other' } },
    tokens: [{ index: 0 }],
    mapOf: () => ({}),
    end: {},
  },
  offers: [],
} as unknown as ShownComparison;

function status(method: 'fastrm' | 'fastrm-plus', head?: HeadFacts): string {
  const map = { method, tokenIndices: [0], missing: [], computeMs: 1, backend: 'wasm', head } as unknown as PanelMap;
  return renderToStaticMarkup(<PanelStatus shown={shown} method={method} map={map} />).replace(/<[^>]*>/g, ' ');
}

it('names the head of a map that is not by the head of the run', () => {
  const plus = status('fastrm-plus', { ...exampleHead, name: 'fastrm-plus', revision: 'p2' });
  expect(plus).toContain('head fastrm-plus p2');
  expect(plus).toContain('no extra model pass');
  expect(plus, 'the warning is about the head of the run').not.toContain('meaningless');
  expect(status('fastrm')).toContain('meaningless');
});
