/** Ascending, in axis values. */
export type Range = readonly [number, number];

export interface BrushOptions {
  /** The current selection; undefined if everything is selected. */
  readonly range: Range | undefined;
  /** The range that can be selected. */
  readonly bounds: Range;
  /** How far an arrow key moves a handle. */
  readonly step: number;
  /** Returns the value at a horizontal position, in CSS pixels from the target's left edge. */
  valueAt(xPx: number): number;
  /** `phase` is `move` during a drag, and `end` once a change is final. */
  onBrush(range: Range | undefined, phase: 'move' | 'end'): void;
}

export interface Brush {
  update(options: BrushOptions): void;
  destroy(): void;
}

/** The part of the brush that an element represents, set in its `data-brush` attribute. */
export type BrushPart = 'low' | 'high' | 'selection' | 'ground';

/** A press that moves less than this is a click; a click on the ground clears the selection. */
const minDragPx = 3;

/**
 * Adds a one-dimensional brush to `target`, for pointer and keyboard. Descendants are marked with `data-brush`:
 * dragging the `ground` starts a new selection, dragging the `selection` moves it, and `low` and `high` are its
 * handles. Arrow keys, Page Up, Page Down, Home and End move a handle; with Shift, arrow and page keys move the whole
 * selection. Escape and Delete clear it.
 */
export function createBrush(target: HTMLElement | SVGElement, initial: BrushOptions): Brush {
  let options = initial;
  let drag:
    | { pointerId: number; part: BrushPart; from: number; fromPx: number; range: Range; isMoved: boolean }
    | undefined;

  const positionOf = (event: PointerEvent) => event.clientX - target.getBoundingClientRect().left;

  const onPointerDown = (event: PointerEvent) => {
    const part = partOf(event.target);
    if (part === undefined || event.button !== 0) return;
    const fromPx = positionOf(event);
    const from = clamp(options.valueAt(fromPx), options.bounds);
    const dragged = part === 'ground' || options.range === undefined ? 'high' : part;
    const range: Range = part === 'ground' || options.range === undefined ? [from, from] : options.range;
    drag = { pointerId: event.pointerId, part: dragged, from, fromPx, range, isMoved: false };
    target.setPointerCapture(event.pointerId);
    event.preventDefault();
    // preventDefault also stops the browser from moving the focus.
    if (part !== 'ground') partElement(event.target)?.focus();
  };

  const onPointerMove = (event: PointerEvent) => {
    if (drag === undefined || event.pointerId !== drag.pointerId) return;
    if (!drag.isMoved && Math.abs(positionOf(event) - drag.fromPx) < minDragPx) return;
    drag.isMoved = true;
    options.onBrush(draggedRange(drag.range, drag.part, at(event) - drag.from, options.bounds), 'move');
  };

  const at = (event: PointerEvent) => options.valueAt(positionOf(event));

  const onPointerUp = (event: PointerEvent) => {
    if (drag === undefined || event.pointerId !== drag.pointerId) return;
    const { range, part, from, isMoved } = drag;
    drag = undefined;
    if (isMoved) options.onBrush(draggedRange(range, part, at(event) - from, options.bounds), 'end');
    else if (range[0] === range[1]) options.onBrush(undefined, 'end');
  };

  const onPointerCancel = () => {
    if (drag === undefined) return;
    const { isMoved } = drag;
    drag = undefined;
    if (isMoved) options.onBrush(options.range, 'end');
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const part = partOf(event.target);
    if (part !== 'low' && part !== 'high') return;
    if (options.range === undefined) return;
    if (event.key === 'Escape' || event.key === 'Delete' || event.key === 'Backspace') {
      event.preventDefault();
      event.stopPropagation();
      options.onBrush(undefined, 'end');
      return;
    }
    const next = keyedRange(options.range, part, event, options);
    if (next === undefined) return;
    event.preventDefault();
    options.onBrush(next, 'end');
  };

  const listeners = [
    ['pointerdown', onPointerDown],
    ['pointermove', onPointerMove],
    ['pointerup', onPointerUp],
    ['pointercancel', onPointerCancel],
    ['keydown', onKeyDown],
  ] as const;
  for (const [type, listener] of listeners) target.addEventListener(type, listener as EventListener);
  return {
    update(next) {
      options = next;
    },
    destroy() {
      for (const [type, listener] of listeners) target.removeEventListener(type, listener as EventListener);
    },
  };
}

/** Moves one part of a range by `delta`. If a handle is dragged past the other, the two swap roles. */
export function draggedRange(range: Range, part: BrushPart, delta: number, bounds: Range): Range {
  const [low, high] = range;
  switch (part) {
    case 'low':
      return ascending(clamp(low + delta, bounds), high);
    case 'high':
    case 'ground':
      return ascending(low, clamp(high + delta, bounds));
    case 'selection': {
      const moved = Math.min(bounds[1] - high, Math.max(bounds[0] - low, delta));
      return [low + moved, high + moved];
    }
  }
}

/** The range after a key press on a handle. A handle stops at the other one. Undefined if the key does not move it. */
export function keyedRange(
  range: Range,
  part: 'low' | 'high',
  { key, shiftKey }: { readonly key: string; readonly shiftKey: boolean },
  { bounds, step }: Pick<BrushOptions, 'bounds' | 'step'>,
): Range | undefined {
  const delta = keyedDelta(key, step);
  const [low, high] = range;
  if (delta !== undefined && shiftKey) return draggedRange(range, 'selection', delta, bounds);
  const moved = (value: number, min: number, max: number) => {
    if (key === 'Home') return min;
    if (key === 'End') return max;
    return delta === undefined ? undefined : Math.min(max, Math.max(min, value + delta));
  };
  if (part === 'low') {
    const next = moved(low, bounds[0], high);
    return next === undefined ? undefined : [next, high];
  }
  const next = moved(high, low, bounds[1]);
  return next === undefined ? undefined : [low, next];
}

/** How far a key moves a slider; undefined if the key does not move it. */
export function keyedDelta(key: string, step: number): number | undefined {
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return -step;
    case 'ArrowRight':
    case 'ArrowUp':
      return step;
    case 'PageDown':
      return -10 * step;
    case 'PageUp':
      return 10 * step;
    default:
      return undefined;
  }
}

function partOf(target: EventTarget | null): BrushPart | undefined {
  return partElement(target)?.dataset.brush as BrushPart | undefined;
}

/** The brush part that contains the target. */
function partElement(target: EventTarget | null): HTMLElement | SVGElement | null {
  return (target as Element | null)?.closest<HTMLElement | SVGElement>('[data-brush]') ?? null;
}

const ascending = (a: number, b: number): Range => (a <= b ? [a, b] : [b, a]);

const clamp = (value: number, [min, max]: Range) => Math.min(max, Math.max(min, value));
