import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import { exampleHead, exampleHeader } from '../../contract/run.example';
import type { ShownRun } from '../shared/use-shown-run';
import { Legend } from './legend';

const settings = { threshold: null, shareThreshold: null, colours: 'cividis', scale: 'fixed' };
const legend = (method: string, chosen: object, head?: object) => {
  const shown = { run: { header: { ...exampleHeader, head } }, method, threshold: 0.6, settings: chosen };
  return renderToStaticMarkup(<Legend shown={shown as unknown as ShownRun} />);
};

it('can reset a chosen threshold with and without a head', () => {
  expect(legend('tam', { ...settings, shareThreshold: 0.6 })).toContain('reset to 0.30');
  expect(legend('fastrm', { ...settings, threshold: 0.6 }, exampleHead)).toContain(
    'reset to the head’s threshold 0.40',
  );
  expect(legend('tam', settings)).not.toContain('reset');
});
