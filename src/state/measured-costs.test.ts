import { describe, expect, it } from 'vitest';
import type { MethodId } from '../contract/methods';
import type { RelevancyMap, RunHeader } from '../contract/run';
import type { MethodTrack } from './explain-session';
import { selectMeasuredCosts } from './measured-costs';
import type { RunSnapshot } from './run-record';

function runOf(id: string, isRecorded: boolean, mapped: MethodId = 'fastrm'): RunSnapshot {
  const tokens = [0, 1].map((index) => ({ index })) as unknown as RunSnapshot['tokens'];
  const end = { reason: 'stop', answerMs: 1, firstTokenMs: 1 } as const;
  const mapOf: RunSnapshot['mapOf'] = (_, method = 'fastrm') =>
    method === mapped ? ({ computeMs: 3 } as RelevancyMap) : undefined;
  return { header: { id, recorded: isRecorded } as RunHeader, tokens, prompt: [], states: undefined, mapOf, end };
}
const cost = (tokens: number, ms: number) => ({
  tokens,
  ms,
  forwardPasses: 1,
  backwardPasses: 1,
  peakBytes: undefined,
});
const track = (...costs: ReturnType<typeof cost>[]): MethodTrack => ({ check: undefined, stop: undefined, costs });

describe('measured costs', () => {
  it('have one entry per explain job, and one for all FastRM maps of a live answer', () => {
    const tracks = new Map([
      ['live chefer', track(cost(1, 10), cost(4, 30))],
      ['old chefer', track(cost(2, 20))],
    ]);
    const costs = selectMeasuredCosts([runOf('old', true), runOf('live', false)], tracks);
    expect([...costs]).toEqual([
      ['chefer', [cost(2, 20), cost(1, 10), cost(4, 30)].map(({ tokens, ms }) => ({ tokens, ms }))],
      ['fastrm', [{ tokens: 2, ms: 6 }]],
    ]);
  });

  it('have one entry for all TAM maps that came with a live answer, or one per job that computed them', () => {
    const streamed = selectMeasuredCosts([runOf('live', false, 'tam')], new Map());
    expect([...streamed]).toEqual([['tam', [{ tokens: 2, ms: 6 }]]]);
    const later = selectMeasuredCosts([runOf('live', false, 'tam')], new Map([['live tam', track(cost(2, 9))]]));
    expect([...later]).toEqual([['tam', [{ tokens: 2, ms: 9 }]]]);
  });

  it('are empty if nothing was explained in this tab', () => {
    expect(selectMeasuredCosts([runOf('old', true)], new Map()).size).toBe(0);
  });
});
