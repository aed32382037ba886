import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../contract/run';
import { pictureOfHeader } from './picture.example';
import { openRecorded, type ReadPicture } from './recorded-run';

const sample = new Uint8Array(readFileSync(new URL('../contract/fixtures/random-weights.run', import.meta.url)));

async function eventsOf(bytes: Uint8Array, readPicture: ReadPicture = pictureOfHeader): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of openRecorded(bytes, readPicture)) events.push(event);
  return events;
}

describe('a run file', () => {
  it('is marked as recorded and has a map for each token, then its end', async () => {
    const [begin, states, prompt, ...rest] = await eventsOf(sample);
    expect(begin).toMatchObject({ type: 'begin', header: { recorded: true, formatVersion: 2 } });
    expect(states).toMatchObject({ type: 'patch-states' });
    expect(prompt).toMatchObject({ type: 'prompt' });
    const end = rest.pop();
    expect(end).toMatchObject({ type: 'end' });
    expect(end).not.toMatchObject({ end: { reason: 'truncated' } });
    expect(rest.length).toBeGreaterThan(0);
    expect(rest.map(({ type }) => type)).toEqual(rest.map((_, i) => (i % 2 === 0 ? 'token' : 'map')));
  });

  it('that was cut short keeps what it has and ends as truncated', async () => {
    const events = await eventsOf(sample.slice(0, sample.length - 2000));
    expect(events[0]?.type).toBe('begin');
    expect(events.at(-1)).toMatchObject({ type: 'end', end: { reason: 'truncated' } });
  });

  it('whose maps are for an image of another size is refused', async () => {
    const turned = async (bytes: Uint8Array) => {
      const { widthPx, heightPx, blob } = await pictureOfHeader(bytes);
      return { blob, widthPx: heightPx, heightPx: widthPx };
    };
    await expect(eventsOf(sample, turned)).rejects.toThrow(
      /the maps are for an image of \d+ × \d+ pixels, but the image has \d+ × \d+/,
    );
  });

  it('of two images has the picture of each, and is refused if one has another size', async () => {
    const two = new Uint8Array(readFileSync(new URL('../contract/fixtures/two-images.run', import.meta.url)));
    const [begin] = await eventsOf(two);
    if (begin?.type !== 'begin') throw new Error('no begin');
    const sizes = begin.header.images?.map(({ picture: { widthPx, heightPx } }) => [widthPx, heightPx]);
    expect(sizes).toEqual([
      [12, 8],
      [6, 10],
    ]);
    expect(begin.header.image).toBe(begin.header.images?.[0]);
    const wide = async (bytes: Uint8Array, name: string) => {
      const picture = await pictureOfHeader(bytes);
      return name === 'after.png' ? { ...picture, widthPx: 7 } : picture;
    };
    await expect(eventsOf(two, wide)).rejects.toThrow(
      'the maps are for an image of 6 × 10 pixels, but the image has 7 × 10',
    );
  });

  it('with invalid content is refused', async () => {
    await expect(eventsOf(new TextEncoder().encode('not a run at all'))).rejects.toThrow(/not a run/);
  });
});
