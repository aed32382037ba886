import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunHeader } from '../contract/run';
import { forgetTracks, trackOf, useExplaining } from './explain-session';
import { createRunLibrary } from './run-library';

const header = (id: string) => ({ id, image: { picture: { blob: new Blob() } } }) as RunHeader;

beforeEach(() => {
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:x');
  vi.spyOn(URL, 'revokeObjectURL').mockReturnValue();
});

describe('run library', () => {
  it('drops the oldest beyond forty, but never the one on screen, and reports which', () => {
    const dropped: string[] = [];
    const library = createRunLibrary({ isOnScreen: (id) => id === 'run 0', onDrop: (id) => dropped.push(id) });
    for (let i = 0; i < 42; i++) library.begin(header(`run ${i}`));
    expect(library.list()).toHaveLength(40);
    expect(library.get('run 0')).toBeDefined();
    expect(dropped).toEqual(['run 1', 'run 2']);
    expect(library.get('run 2')).toBeUndefined();
    expect(URL.revokeObjectURL).toHaveBeenCalledTimes(2);
  });

  it('forgets the tracks of a dropped run', () => {
    const track = { check: undefined, costs: [], stop: { kind: 'cancelled' } } as const;
    useExplaining.setState({
      tracks: new Map([
        ['run 1 chefer', track],
        ['run 11 chefer', track],
      ]),
    });
    forgetTracks('run 1');
    expect(trackOf(useExplaining.getState(), 'run 1', 'chefer').stop).toBeUndefined();
    expect(trackOf(useExplaining.getState(), 'run 11', 'chefer').stop).toBeDefined();
  });
});
