import { createHash } from 'node:crypto';
import { QueryClient } from '@tanstack/react-query';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { CalibrationFacts } from '../contract/calibration';
import type { CalibrationRow } from '../statistics/api';
import { isDatasetSample, openSample } from './open-sample';
import type { OpenCalibration } from './statistics-queries';

const images = [
  { name: 'images/0.webp', content: 'the first' },
  { name: 'images/1.webp', content: 'another' },
];
const file = images.map(({ content }) => content).join('');

const index = {
  formatVersion: 1,
  mediaType: 'image/webp',
  images: Object.fromEntries(
    images.map(({ name, content }) => [
      name,
      {
        offset: file.indexOf(content),
        bytes: content.length,
        sha256: createHash('sha256').update(content).digest('hex'),
      },
    ]),
  ),
};

/** Serves the index and the images, except for the given responses by URL; returns the requests received. */
function stubHost(responses: Readonly<Record<string, () => Response>> = {}): string[] {
  const requests: string[] = [];
  vi.stubGlobal('fetch', async (url: string, { headers }: { headers?: Record<string, string> } = {}) => {
    requests.push([url, headers?.Range].filter(Boolean).join(' '));
    if (responses[url]) return responses[url]();
    if (url === 'data/images.json') return Response.json(index);
    const [from, to] = /(\d+)-(\d+)/
      .exec(headers?.Range ?? '')!
      .slice(1)
      .map(Number);
    return new Response(file.slice(from, to! + 1), { status: 206 });
  });
  return requests;
}

const calibration = (images: CalibrationFacts['images']) =>
  ({ loaded: { facts: { images } }, name: 'data', folderUrl: 'data/' }) as OpenCalibration;

const packed = calibration({ file: 'images.bin', index: 'images.json' });

const sample = (image: string | undefined) => ({ id: 'q1', question: 'What is it?', image }) as CalibrationRow;

function servicesOf() {
  const intake = { takeFile: vi.fn() };
  const asking = { ask: vi.fn() };
  return { intake, asking, queries: new QueryClient() } as unknown as Parameters<typeof openSample>[0] & {
    intake: typeof intake;
    asking: typeof asking;
  };
}

beforeEach(() => {
  vi.unstubAllGlobals();
});

describe('openSample', () => {
  it('asks the question about the image and fetches only that image’s bytes', async () => {
    const requests = stubHost();
    const services = servicesOf();
    expect(await openSample(services, sample('images/1.webp'), packed)).toEqual({ kind: 'opened' });
    const [taken] = services.intake.takeFile.mock.calls[0]!;
    expect([taken.name, taken.type, await taken.text()]).toEqual(['1.webp', 'image/webp', 'another']);
    expect(services.asking.ask).toHaveBeenCalledExactlyOnceWith('What is it?');
    expect(requests).toEqual(['data/images.json', 'data/images.bin bytes=9-15']);
    expect(isDatasetSample('1.webp')).toBe(true);
  });

  it('fetches the index once', async () => {
    const requests = stubHost();
    const services = servicesOf();
    await openSample(services, sample('images/1.webp'), packed);
    await openSample(services, sample('images/0.webp'), packed);
    expect(requests.filter((request) => request.endsWith('.json'))).toHaveLength(1);
  });

  it('opens the sample that was chosen last', async () => {
    stubHost();
    const services = servicesOf();
    const openings = ['images/0.webp', 'images/1.webp'].map((image) => openSample(services, sample(image), packed));
    expect(await Promise.all(openings)).toEqual([{ kind: 'overtaken' }, { kind: 'opened' }]);
    expect(services.intake.takeFile).toHaveBeenCalledOnce();
  });

  it.each([
    ['the table names no image', sample(undefined), packed, 'names no image for sample q1'],
    ['only the table was loaded', sample('images/0.webp'), { ...packed, folderUrl: undefined }, 'Only the table'],
    ['the calibration has no images', sample('images/0.webp'), calibration(null), 'does not include its images'],
    ['the index does not list the image', sample('images/9.webp'), packed, 'images.json does not list it'],
  ])('refuses if %s', async (_, row, from, reason) => {
    stubHost();
    const services = servicesOf();
    expect(await openSample(services, row, from)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining(reason),
    });
    expect(services.asking.ask).not.toHaveBeenCalled();
  });

  it.each([
    ['the index', 'data/images.json', 'data/images.json: 404'],
    ['the images', 'data/images.bin', 'the server answered 404'],
  ])('refuses if the host lacks %s, with its status', async (_, url, reason) => {
    stubHost({ [url]: () => new Response('none', { status: 404 }) });
    const services = servicesOf();
    expect(await openSample(services, sample('images/0.webp'), packed)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining(reason),
    });
    expect(services.asking.ask).not.toHaveBeenCalled();
  });

  it('refuses an HTML page that a host sends instead of a missing file', async () => {
    stubHost({ 'data/images.bin': () => new Response('<!doctype html>') });
    expect(await openSample(servicesOf(), sample('images/0.webp'), packed)).toMatchObject({ kind: 'refused' });
  });
});
