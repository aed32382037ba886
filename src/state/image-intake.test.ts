import { beforeEach, describe, expect, it, vi } from 'vitest';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { createImageIntake, type ImageReading, useIntake } from './image-intake';
import { createImageShelf } from './image-shelf';
import { createRunLibrary } from './run-library';

/** An intake whose files are read when the test says so, by name. */
function intakeOf() {
  const waiting = new Map<string, (reading: ImageReading) => void>();
  const intake = createImageIntake({
    library: createRunLibrary(),
    shelf: createImageShelf(),
    readImage: (_file, name) => new Promise((resolve) => waiting.set(name, resolve)),
    openRecorded: () => {
      throw new Error('it has no schema');
    },
  });
  const finish = (name: string) =>
    waiting.get(name)?.({
      kind: 'image',
      image: { bytes: new Uint8Array([1]), mediaType: 'image/png', name, sha256: '' },
      widthPx: 1,
      heightPx: 1,
    });
  const refuse = (name: string, reason: string) => waiting.get(name)?.({ kind: 'refused', reason });
  return { intake, finish, refuse };
}

const macrotask = () => new Promise((resolve) => setTimeout(resolve));
const file = (name: string) => new File([new Uint8Array([1])], name);

describe('taking files in', () => {
  beforeEach(() => {
    useChoices.setState(useChoices.getInitialState());
    useDraft.setState(useDraft.getInitialState());
    useIntake.setState(useIntake.getInitialState());
  });

  it('gives the image chosen last, though the one before it took longer to read', async () => {
    const { intake, finish } = intakeOf();
    intake.takeFile(file('slow.png'));
    intake.takeFile(file('quick.png'));
    finish('quick.png');
    expect(await intake.settled()).toBe(true);
    finish('slow.png');
    await macrotask();
    expect(intake.image()?.name).toBe('quick.png');
  });

  it('waits for a file chosen while it was waiting, and for no other', async () => {
    const { intake, finish, refuse } = intakeOf();
    const settled = vi.fn();
    intake.takeFile(file('first.png'));
    intake.settled().then(settled);
    intake.takeFile(file('second.png'));
    refuse('first.png', 'first.png is broken');
    await macrotask();
    expect(settled).not.toHaveBeenCalled();
    finish('second.png');
    await macrotask();
    expect(settled).toHaveBeenCalledExactlyOnceWith(true);
    expect(intake.image()?.name).toBe('second.png');
    expect(useDraft.getState().problem).toBeUndefined();
    expect(useIntake.getState().isReading).toBe(false);
  });

  it('goes back to the run on screen while a file is still being read', async () => {
    const { intake, finish } = intakeOf();
    intake.takeFile(file('slow.png'));
    const settled = intake.settled();
    intake.drop();
    expect(await settled).toBe(true);
    finish('slow.png');
    await macrotask();
    expect(intake.image()).toBeUndefined();
    expect(useIntake.getState().isReading).toBe(false);
  });

  it('says why an image cannot be used, and keeps the one before it', async () => {
    const { intake, finish, refuse } = intakeOf();
    intake.takeFile(file('good.png'));
    finish('good.png');
    await intake.settled();
    intake.takeFile(file('bad.png'));
    refuse('bad.png', 'bad.png is broken');
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'image', reason: 'bad.png is broken' });
    expect(intake.image()?.name).toBe('good.png');
    expect(await intake.settled(), 'nothing is being read any more').toBe(true);
  });

  it('says why a saved run cannot be opened', async () => {
    const { intake } = intakeOf();
    intake.takeFile(file('colleague.run'));
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'file', reason: 'it has no schema' });
  });

  it('knows of no image where there is neither a chosen one nor a run', () => {
    expect(intakeOf().intake.image()).toBeUndefined();
  });

  it('says why a sample could not be fetched', async () => {
    vi.stubGlobal('fetch', async () => new Response(null, { status: 404, statusText: 'Not Found' }));
    const { intake } = intakeOf();
    intake.takeUrl('./samples/gone.png', 'gone.png', 'gone');
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'image', reason: './samples/gone.png: 404 Not Found' });
    vi.unstubAllGlobals();
  });
});
