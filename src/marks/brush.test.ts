import { describe, expect, it } from 'vitest';
import { type BrushOptions, createBrush, draggedRange, keyedRange, type Range } from './brush';

const bounds: Range = [0, 10];

/** A minimal element for the brush: 10 px per unit, left edge at 100 px. */
class Target extends EventTarget {
  captured: number | undefined;
  getBoundingClientRect() {
    return { left: 100 };
  }
  setPointerCapture(id: number) {
    this.captured = id;
  }
}

function brushPart(name: string) {
  const element = { dataset: { brush: name }, closest: () => element, focus() {} };
  return element;
}

function brushOf(range: Range | undefined) {
  const target = new Target();
  const calls: [Range | undefined, string][] = [];
  const options: BrushOptions = {
    range,
    bounds,
    step: 0.5,
    valueAt: (px) => px / 10,
    onBrush: (next, phase) => {
      calls.push([next, phase]);
    },
  };
  const brush = createBrush(target as unknown as HTMLElement, options);
  const send = (type: string, part: string, fields: object) => {
    const event = new Event(type, { cancelable: true });
    Object.defineProperty(event, 'target', { value: brushPart(part) });
    Object.assign(event, { pointerId: 1, button: 0, ...fields });
    target.dispatchEvent(event);
    return event;
  };
  return { brush, options, calls, send };
}

describe('the brush', () => {
  it('selects from where the pointer was pressed to where it is, in either direction', () => {
    const { calls, send } = brushOf(undefined);
    send('pointerdown', 'ground', { clientX: 140 });
    send('pointermove', 'ground', { clientX: 170 });
    send('pointermove', 'ground', { clientX: 120 });
    send('pointerup', 'ground', { clientX: 120 });
    expect(calls).toEqual([
      [[4, 7], 'move'],
      [[2, 4], 'move'],
      [[2, 4], 'end'],
    ]);
  });

  it('clears the selection on a click on the ground', () => {
    const { calls, send } = brushOf([2, 4]);
    send('pointerdown', 'ground', { clientX: 190 });
    send('pointermove', 'ground', { clientX: 191 });
    send('pointerup', 'ground', { clientX: 191 });
    expect(calls).toEqual([[undefined, 'end']]);
  });

  it('moves the selection without resizing it, within the bounds', () => {
    const { calls, send } = brushOf([2, 4]);
    send('pointerdown', 'selection', { clientX: 130 });
    send('pointermove', 'selection', { clientX: 150 });
    send('pointerup', 'selection', { clientX: 900 });
    expect(calls).toEqual([
      [[4, 6], 'move'],
      [[8, 10], 'end'],
    ]);
  });

  it('keeps a selection that is pressed but not moved', () => {
    const { calls, send } = brushOf([2, 4]);
    send('pointerdown', 'selection', { clientX: 130 });
    send('pointerup', 'selection', { clientX: 130 });
    expect(calls).toEqual([]);
  });

  it('ignores a second finger and other buttons', () => {
    const { calls, send } = brushOf(undefined);
    send('pointerdown', 'ground', { clientX: 140, button: 2 });
    send('pointermove', 'ground', { clientX: 170 });
    send('pointerdown', 'ground', { clientX: 140 });
    send('pointermove', 'ground', { clientX: 170, pointerId: 2 });
    expect(calls).toEqual([]);
  });

  it('moves its handles with keys, and clears the selection with Escape', () => {
    const { calls, send } = brushOf([2, 4]);
    expect(send('keydown', 'low', { key: 'ArrowRight', shiftKey: false }).defaultPrevented).toBe(true);
    expect(send('keydown', 'low', { key: 'a', shiftKey: false }).defaultPrevented).toBe(false);
    send('keydown', 'high', { key: 'Escape', shiftKey: false });
    expect(calls).toEqual([
      [[2.5, 4], 'end'],
      [undefined, 'end'],
    ]);
  });

  it('uses its latest options, and stops listening once destroyed', () => {
    const { brush, options, calls, send } = brushOf([2, 4]);
    brush.update({ ...options, range: [5, 6] });
    send('keydown', 'high', { key: 'End', shiftKey: false });
    brush.destroy();
    send('keydown', 'high', { key: 'End', shiftKey: false });
    expect(calls).toEqual([[[5, 10], 'end']]);
  });
});

describe('a range', () => {
  it('swaps its handles if one is dragged past the other', () => {
    expect(draggedRange([2, 4], 'low', 5, bounds)).toEqual([4, 7]);
    expect(draggedRange([2, 4], 'high', -30, bounds)).toEqual([0, 2]);
  });

  it('changes with keys: a handle moves up to the other one, or both move with Shift', () => {
    const press = (key: string, shiftKey = false) => keyedRange([2, 4], 'low', { key, shiftKey }, { bounds, step: 1 });
    expect(press('ArrowLeft')).toEqual([1, 4]);
    expect(press('PageUp')).toEqual([4, 4]);
    expect(press('Home')).toEqual([0, 4]);
    expect(press('End')).toEqual([4, 4]);
    expect(press('ArrowRight', true)).toEqual([3, 5]);
    expect(press('PageDown', true)).toEqual([0, 2]);
    expect(press('x')).toBeUndefined();
  });
});
