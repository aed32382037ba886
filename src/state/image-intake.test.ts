import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { CheckedImage } from '../contract/checked-image';
import { exampleHeader } from '../contract/run.example';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { createImageIntake, useIntake } from './image-intake';
import { createImageShelf } from './image-shelf';
import { createRunLibrary } from './run-library';

const picture = { blob: new Blob(), widthPx: 1, heightPx: 1 };

/** An intake for which the test decides, by file name, when each file has been read. */
function intakeOf(maxImages = 1) {
  const waiting = new Map<string, (reading: CheckedImage) => void>();
  const library = createRunLibrary();
  const intake = createImageIntake({
    library,
    shelf: createImageShelf(),
    readImage: (_file, name) => new Promise((resolve) => waiting.set(name, resolve)),
    checkImage: async ({ name }) => (name.startsWith('wide') ? `${name} is too wide.` : undefined),
    maxImages: () => maxImages,
    openRecorded: () => {
      throw new Error('it has no schema');
    },
  });
  const finish = (name: string) =>
    waiting.get(name)?.({
      kind: 'image',
      image: { bytes: new Uint8Array([1]), mediaType: 'image/png', name, sha256: '', picture },
    });
  const refuse = (name: string, reason: string) => waiting.get(name)?.({ kind: 'refused', reason });
  return { intake, library, finish, refuse };
}

const macrotask = () => new Promise((resolve) => setTimeout(resolve));
const file = (name: string) => new File([new Uint8Array([1])], name);

describe('image intake', () => {
  beforeEach(() => {
    useChoices.setState(useChoices.getInitialState());
    useDraft.setState(useDraft.getInitialState());
    useIntake.setState(useIntake.getInitialState());
  });

  it('uses the image chosen last, even if an earlier one takes longer to read', async () => {
    const { intake, finish } = intakeOf();
    intake.takeFile(file('slow.png'));
    intake.takeFile(file('quick.png'));
    finish('quick.png');
    expect(await intake.settled()).toBe(true);
    finish('slow.png');
    await macrotask();
    expect(intake.images()[0]?.name).toBe('quick.png');
  });

  it('takes none of several files, and says so', async () => {
    const { intake } = intakeOf();
    intake.takeFiles([file('a.png'), file('b.png'), file('c.png')]);
    expect(useDraft.getState().problem).toEqual({
      kind: 'image',
      reason: '3 files came at once, and none was opened. Drop or paste one image or run file at a time.',
    });
    expect(useIntake.getState().isReading).toBe(false);
  });

  it('refuses an image that the model would refuse, before a question', async () => {
    const { intake, finish } = intakeOf();
    intake.takeFiles([file('wide.png')]);
    finish('wide.png');
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState()).toMatchObject({ image: undefined, problem: { reason: 'wide.png is too wide.' } });
  });

  it('also waits for a file chosen while waiting', async () => {
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
    expect(intake.images()[0]?.name).toBe('second.png');
    expect(useDraft.getState().problem).toBeUndefined();
    expect(useIntake.getState().isReading).toBe(false);
  });

  it('returns to the run on screen while a file is still being read', async () => {
    const { intake, finish } = intakeOf();
    intake.takeFile(file('slow.png'));
    const settled = intake.settled();
    intake.drop();
    expect(await settled).toBe(true);
    finish('slow.png');
    await macrotask();
    expect(intake.images()).toEqual([]);
    expect(useIntake.getState().isReading).toBe(false);
  });

  it('reports why an image cannot be used, and keeps the previous one', async () => {
    const { intake, finish, refuse } = intakeOf();
    intake.takeFile(file('good.png'));
    finish('good.png');
    await intake.settled();
    intake.takeFile(file('bad.png'));
    refuse('bad.png', 'bad.png is broken');
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'image', reason: 'bad.png is broken' });
    expect(intake.images()[0]?.name).toBe('good.png');
    expect(await intake.settled(), 'nothing is being read any more').toBe(true);
  });

  it('reports why a run file cannot be opened', async () => {
    const { intake } = intakeOf();
    intake.takeFile(file('colleague.run'));
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'file', reason: 'it has no schema' });
  });

  it('waits for the example that the page starts with, until it is shown', async () => {
    const { intake, library } = intakeOf();
    useIntake.setState({ isOpening: true });
    const settled = vi.fn();
    intake.settled().then(settled);
    await macrotask();
    expect(settled).not.toHaveBeenCalled();
    library.begin(exampleHeader);
    useChoices.getState().showRun(exampleHeader.id);
    await macrotask();
    expect(settled).toHaveBeenCalledExactlyOnceWith(true);
    expect(intake.images()).toEqual([exampleHeader.image]);
  });

  it('waits for the example no longer once it has failed or a file has been chosen', async () => {
    const { intake, finish } = intakeOf();
    useIntake.setState({ isOpening: true });
    const failed = intake.settled();
    useIntake.setState({ isOpening: false });
    expect(await failed).toBe(true);

    useIntake.setState({ isOpening: true });
    const chosen = intake.settled();
    intake.takeFile(file('own.png'));
    finish('own.png');
    expect(await chosen).toBe(true);
    expect(intake.images()[0]?.name).toBe('own.png');
  });

  it('shows the recorded run opened last, and a question waits for it', async () => {
    const { intake, library } = intakeOf();
    let open = (_id: string) => {};
    const isShown = vi.fn();
    library.begin(exampleHeader);
    library.begin({ ...exampleHeader, id: 'run 2' });
    intake.takeRecorded(
      () =>
        new Promise((resolve) => {
          open = resolve;
        }),
      isShown,
    );
    const settled = intake.settled();
    expect(useIntake.getState().isReading).toBe(true);
    intake.takeRecorded(async () => 'run 2', isShown);
    expect(await settled).toBe(true);
    open(exampleHeader.id);
    await macrotask();
    expect(useChoices.getState().runId).toBe('run 2');
    expect(isShown).toHaveBeenCalledOnce();
  });

  it('has no image if none is chosen and there is no run', () => {
    expect(intakeOf().intake.images()).toEqual([]);
  });

  it('reports why an example could not be fetched', async () => {
    vi.stubGlobal('fetch', async () => new Response(null, { status: 404, statusText: 'Not Found' }));
    const { intake } = intakeOf();
    intake.takeUrl('./samples/gone.png', 'gone.png', 'gone');
    expect(await intake.settled()).toBe(false);
    expect(useDraft.getState().problem).toEqual({ kind: 'image', reason: './samples/gone.png: 404 Not Found' });
    vi.unstubAllGlobals();
  });

  describe('of a model that reads several images', () => {
    const names = (intake: { images(): readonly { readonly name: string }[] }) =>
      intake.images().map(({ name }) => name);

    async function take(name: string, { intake, finish }: ReturnType<typeof intakeOf>) {
      intake.takeFile(file(name));
      finish(name);
      await intake.settled();
    }

    it('replaces the image, or adds to it if the user asked for that once', async () => {
      const made = intakeOf(3);
      await take('a.png', made);
      await take('b.png', made);
      expect(names(made.intake)).toEqual(['b.png']);
      useDraft.getState().setAdding(true);
      await take('c.png', made);
      expect(names(made.intake)).toEqual(['b.png', 'c.png']);
      expect(useDraft.getState().isAdding).toBe(false);
      await take('d.png', made);
      expect(names(made.intake)).toEqual(['d.png']);
    });

    it('adds to the images of the run on screen', async () => {
      const made = intakeOf(3);
      made.library.begin(exampleHeader);
      useChoices.getState().showRun(exampleHeader.id);
      useDraft.getState().setAdding(true);
      await take('b.png', made);
      expect(names(made.intake)).toEqual(['scene.png', 'b.png']);
    });

    it('removes one of several, and keeps the order of the others', async () => {
      const made = intakeOf(3);
      await take('a.png', made);
      for (const name of ['b.png', 'c.png']) {
        useDraft.getState().setAdding(true);
        await take(name, made);
      }
      made.intake.remove(1);
      expect(names(made.intake)).toEqual(['a.png', 'c.png']);
      made.intake.remove(0);
      expect(names(made.intake)).toEqual(['c.png']);
      made.intake.remove(0);
      expect(names(made.intake), 'the last one stays').toEqual(['c.png']);
    });

    it('takes as many files at once as a question may have', async () => {
      const made = intakeOf(2);
      made.intake.takeFiles([file('a.png'), file('b.png')]);
      made.finish('a.png');
      await macrotask();
      made.finish('b.png');
      expect(await made.intake.settled()).toBe(true);
      expect(names(made.intake)).toEqual(['a.png', 'b.png']);
      made.intake.takeFiles([file('a.png'), file('b.png'), file('c.png')]);
      expect(useDraft.getState().problem).toMatchObject({ kind: 'image' });
      made.intake.takeFiles([file('a.png'), file('b.run')]);
      expect(useDraft.getState().problem).toMatchObject({ kind: 'image' });
      expect(names(made.intake)).toEqual(['a.png', 'b.png']);
    });
  });
});
