import { describe, expect, it } from 'vitest';
import { clampZoom, mostZoom, wholeView, zoomAbout, zoomShowing } from './zoom';

describe('zooming', () => {
  it('keeps the point in its place', () => {
    const point = { x: 0.3, y: 0.8 };
    const once = zoomAbout(wholeView, 2, point);
    const twice = zoomAbout(once, 1.5, point);
    for (const zoom of [once, twice]) {
      expect(zoom.scale * point.x + zoom.x).toBeCloseTo(point.x, 12);
      expect(zoom.scale * point.y + zoom.y).toBeCloseTo(point.y, 12);
    }
  });

  it('shows all again when zoomed out as far', () => {
    const back = zoomAbout(zoomAbout(wholeView, 4, { x: 0.1, y: 0.9 }), 0.25, { x: 0.7, y: 0.2 });
    expect(back).toEqual(wholeView);
  });

  it('ends at the box’s edges and at its greatest scale', () => {
    expect(clampZoom({ scale: 2, x: 0.5, y: -3 })).toEqual({ scale: 2, x: 0, y: -1 });
    expect(zoomAbout(wholeView, 100, { x: 0, y: 0 })).toEqual({ scale: mostZoom, x: 0, y: 0 });
    expect(zoomAbout(wholeView, 0.1, { x: 0, y: 0 })).toEqual(wholeView);
  });

  it('brings a part into view by the least move, and leaves what is in view', () => {
    const zoom = { scale: 2, x: 0, y: 0 };
    expect(zoomShowing(zoom, { left: 0.1, top: 0.1, width: 0.1, height: 0.1 })).toBe(zoom);
    const moved = zoomShowing(zoom, { left: 0.7, top: 0.2, width: 0.1, height: 0.1 });
    expect(moved.x).toBeCloseTo(-0.6, 12);
    expect(moved.y).toBe(0);
  });
});
