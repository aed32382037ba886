import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import { exampleHead, exampleHeader } from '../../contract/run.example';
import type { ShownRun } from '../shared/use-shown-run';
import { Legend } from './legend';

const settings = { threshold: null, shareThreshold: null, colours: 'cividis', scale: 'fixed' };
const paper = { ...exampleHead, classificationThreshold: 0.55 };
const offers = [{ method: 'fastrm-paper', head: paper }];
const legend = (method: string, chosen: object, head?: object) => {
  const shown = { run: { header: { ...exampleHeader, head } }, method, offers, threshold: 0.6, settings: chosen };
  return renderToStaticMarkup(<Legend shown={shown as unknown as ShownRun} />);
};

it('can reset a chosen threshold with and without a head', () => {
  expect(legend('tam', { ...settings, shareThreshold: 0.6 })).toContain('reset to 0.30');
  expect(legend('fastrm', { ...settings, threshold: 0.6 }, exampleHead)).toContain(
    'reset to the head’s threshold 0.40',
  );
  expect(legend('tam', settings)).not.toContain('reset');
  const chosen = { ...settings, threshold: 0.2, paperThreshold: 0.6 };
  expect(legend('fastrm-paper', chosen, exampleHead), 'another head').toContain('reset to the head’s threshold 0.55');
});
