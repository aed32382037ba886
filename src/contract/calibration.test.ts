import { describe, expect, it } from 'vitest';
import { fitOf, parseCalibrationFacts } from './calibration';

const facts = {
  formatVersion: 1,
  model: { name: 'scenes', revision: 'aa', sameAs: ['bb'] },
  head: { name: 'fastrm', revision: 'cc' },
  data: { name: 'scenes', sets: ['vqa-like'] },
  n: 3,
  createdAt: '2026-11-25T10:00:00Z',
  command: 'patchlight evaluate',
  patches: 576,
  seed: 0,
  licence: 'Apache-2.0',
  sprites: null,
};
const head = { name: 'fastrm', revision: 'cc' };

describe('calibration metadata', () => {
  it('is rejected if its format version is not supported, naming both versions', () => {
    expect(() => parseCalibrationFacts({ ...facts, formatVersion: 2 })).toThrow(
      'format version 2; this page supports 1',
    );
    expect(() => parseCalibrationFacts({ ...facts, n: -1 })).toThrow('n');
  });

  it('determines which answers it fits', () => {
    const parsed = parseCalibrationFacts(facts);
    expect(fitOf(parsed, { model: { name: 'scenes', revision: 'aa' }, head })).toEqual({ fits: true });
    expect(fitOf(parsed, { model: { name: 'scenes', revision: 'bb' }, head })).toEqual({ fits: true });
    const reason = (model: { name: string; revision: string }, other: typeof head | undefined) => {
      const fit = fitOf(parsed, { model, head: other });
      return fit.fits ? '' : fit.reason;
    };
    expect(reason({ name: 'llava', revision: 'aa' }, head)).toBe(
      'The calibration is for model scenes (aa); this answer is by llava (aa).',
    );
    expect(reason({ name: 'scenes', revision: 'dd' }, head)).toContain('scenes (dd)');
    expect(reason({ name: 'scenes', revision: 'aa' }, { ...head, revision: 'ee' })).toContain(
      'maps are by fastrm (ee)',
    );
    expect(reason({ name: 'scenes', revision: 'aa' }, undefined)).toContain('this answer has no head');
  });
});
