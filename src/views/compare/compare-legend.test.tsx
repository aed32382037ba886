import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import type { MethodId } from '../../contract/methods';
import { exampleHead, exampleHeader } from '../../contract/run.example';
import { usualThresholds } from '../../state/panel-map';
import { CompareLegend } from './compare-legend';
import type { ShownComparison } from './use-shown-comparison';

const plus = { ...exampleHead, classificationThreshold: 0.35 };
const offers = [{ method: 'fastrm-plus', refusal: undefined, canExplain: true, head: plus }] as const;
const settings = { threshold: null, paperThreshold: null, plusThreshold: null, shareThreshold: null };

/** The legend's text. */
function legend(panels: readonly MethodId[], values = 'given', chosen: Partial<typeof settings> | object = {}): string {
  const header = { ...exampleHeader, head: exampleHead };
  const shown = {
    run: { header },
    settings: { colours: 'cividis', ...settings, ...chosen },
    compare: { values },
    thresholds: usualThresholds(header, offers),
    frame: { all: [{}] },
    panels,
    offers,
  };
  const markup = renderToStaticMarkup(<CompareLegend shown={shown as unknown as ShownComparison} />);
  return markup.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
}

it('has a threshold for each head on screen, and one for all other methods', () => {
  const both = legend(['fastrm', 'fastrm-plus', 'chefer']);
  expect(both).toContain('FastRM outline: probability 0.40');
  expect(both).toContain('FastRM+ outline: probability 0.35');
  expect(both).toContain('Other outlines: share of maximum 0.30');
  expect(both).not.toContain('paper’s recipe');
  expect(legend(['fastrm-plus', 'fastrm'])).not.toContain('share of maximum');
  expect(legend(['chefer', 'tam'])).toContain('Outline: share of maximum');
});

it('resets each threshold by itself', () => {
  const chosen = legend(['fastrm', 'fastrm-plus'], 'given', { plusThreshold: 0.7 });
  expect(chosen).toContain('reset to 0.35');
  expect(chosen).not.toContain('reset to 0.40');
});

it('says which maps are probabilities', () => {
  expect(legend(['fastrm', 'chefer'])).toContain('FastRM: colours show probabilities, 0 to 1. Other maps:');
  expect(legend(['fastrm-plus', 'chefer'])).toContain('FastRM+: colours show probabilities');
  expect(legend(['fastrm', 'fastrm-paper'])).toContain('Heads: colours show probabilities');
  expect(legend(['fastrm', 'fastrm-paper'], 'share')).toContain('heads included; every map reaches 1.');
});
