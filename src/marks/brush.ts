/** Ascending, in the values of the axis. */
export type Range = readonly [number, number];

export interface BrushOptions {
  /** What is selected now; undefined for everything. */
  readonly range: Range | undefined;
  /** What may be selected. */
  readonly bounds: Range;
  /** What an arrow key moves by. */
  readonly step: number;
  /** A value from a horizontal place, in CSS pixels from the target's left edge. */
  valueAt(xPx: number): number;
  /** `move` while the pointer is down, `end` when the choice is made. */
  onBrush(range: Range | undefined, phase: 'move' | 'end'): void;
}

export interface Brush {
  update(options: BrushOptions): void;
  destroy(): void;
}

/** Which part of the brush was taken hold of: elements carry it as `data-brush`. */
export type BrushPart = 'low' | 'high' | 'selection' | 'ground';

/** Narrower than this, a press is a click, which selects everything again. */
const leastDragPx = 3;

/**
 * A one-dimensional selection by pointer and keyboard on `target`, whose descendants say by `data-brush` what they are:
 * `ground` begins a new selection, `selection` moves the one there is, `low` and `high` are its handles. Handles take
 * arrow keys (with Shift the whole selection moves), Page Up and Down, Home, End; Escape and Delete end the selection.
 */
export function createBrush(target: HTMLElement | SVGElement, initial: BrushOptions): Brush {
  let options = initial;
  let drag:
    | { pointerId: number; part: BrushPart; from: number; fromPx: number; range: Range; isMoved: boolean }
    | undefined;

  const placeOf = (event: PointerEvent) => event.clientX - target.getBoundingClientRect().left;

  const onPointerDown = (event: PointerEvent) => {
    const part = partOf(event.target);
    if (part === undefined || event.button !== 0) return;
    const fromPx = placeOf(event);
    const from = clamp(options.valueAt(fromPx), options.bounds);
    const hold = part === 'ground' || options.range === undefined ? 'high' : part;
    const range: Range = part === 'ground' || options.range === undefined ? [from, from] : options.range;
    drag = { pointerId: event.pointerId, part: hold, from, fromPx, range, isMoved: false };
    target.setPointerCapture(event.pointerId);
    event.preventDefault();
    // Preventing the default also keeps the focus where it was.
    if (part !== 'ground') markedOf(event.target)?.focus();
  };

  const onPointerMove = (event: PointerEvent) => {
    if (drag === undefined || event.pointerId !== drag.pointerId) return;
    if (!drag.isMoved && Math.abs(placeOf(event) - drag.fromPx) < leastDragPx) return;
    drag.isMoved = true;
    options.onBrush(draggedRange(drag.range, drag.part, at(event) - drag.from, options.bounds), 'move');
  };

  const at = (event: PointerEvent) => options.valueAt(placeOf(event));

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

/** A range dragged by `delta` at one of its parts. A handle dragged past the other becomes the other. */
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

/** Where a key on a handle takes the range; handles stop at each other. Undefined for other keys. */
export function keyedRange(
  range: Range,
  part: 'low' | 'high',
  { key, shiftKey }: { readonly key: string; readonly shiftKey: boolean },
  { bounds, step }: Pick<BrushOptions, 'bounds' | 'step'>,
): Range | undefined {
  const delta = keyedDelta(key, step);
  const [low, high] = range;
  if (delta !== undefined && shiftKey) return draggedRange(range, 'selection', delta, bounds);
  const moved = (value: number, least: number, most: number) => {
    if (key === 'Home') return least;
    if (key === 'End') return most;
    return delta === undefined ? undefined : Math.min(most, Math.max(least, value + delta));
  };
  if (part === 'low') {
    const next = moved(low, bounds[0], high);
    return next === undefined ? undefined : [next, high];
  }
  const next = moved(high, low, bounds[1]);
  return next === undefined ? undefined : [low, next];
}

/** What a key moves a slider by; undefined for keys that do not. */
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
  return markedOf(target)?.dataset.brush as BrushPart | undefined;
}

/** The part that was hit: the element itself or one that it stands in. */
function markedOf(target: EventTarget | null): HTMLElement | SVGElement | null {
  return (target as Element | null)?.closest<HTMLElement | SVGElement>('[data-brush]') ?? null;
}

const ascending = (a: number, b: number): Range => (a <= b ? [a, b] : [b, a]);

const clamp = (value: number, [least, most]: Range) => Math.min(most, Math.max(least, value));
