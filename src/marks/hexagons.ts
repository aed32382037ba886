import type { ScaleLinear } from 'd3-scale';
import type { ByClass } from './histogram';

export interface Hexagon {
  readonly xPx: number;
  readonly yPx: number;
  readonly counts: ByClass<number>;
}

/**
 * Counts points in hexagons of `radiusPx` (centre to corner), pointy side up. `isRight` is 1 for right, 0 for wrong; points
 * that are not finite, or that `isShown` leaves out (0), are in none.
 */
export function binHexagons(
  columns: { readonly X: ArrayLike<number>; readonly Y: ArrayLike<number>; readonly isRight: ArrayLike<number> },
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
  radiusPx: number,
): Hexagon[] {
  const { X, Y, isRight } = columns;
  const dx = radiusPx * Math.sqrt(3);
  const dy = radiusPx * 1.5;
  const [x0 = 0] = x.domain();
  const kx = (x(x0 + 1) - x(x0)) as number;
  const bx = x(0);
  const [y0 = 0] = y.domain();
  const ky = (y(y0 + 1) - y(y0)) as number;
  const by = y(0);
  const found = new Map<number, { xPx: number; yPx: number; right: number; wrong: number }>();
  for (let i = 0; i < X.length; i++) {
    const px = X[i]! * kx + bx;
    const py = Y[i]! * ky + by;
    if (!Number.isFinite(px) || !Number.isFinite(py)) continue;
    let row = Math.round(py / dy);
    let col = Math.round(px / dx - (row & 1) / 2);
    const offY = py / dy - row;
    // Within a third of a row's border the neighbouring row's hexagon may be nearer.
    if (Math.abs(offY) * 3 > 1) {
      const offX = px / dx - (row & 1) / 2 - col;
      const otherRow = row + Math.sign(offY);
      const otherCol = Math.round(px / dx - (otherRow & 1) / 2);
      const otherX = px / dx - (otherRow & 1) / 2 - otherCol;
      const otherY = py / dy - otherRow;
      if ((offX * dx) ** 2 + (offY * dy) ** 2 > (otherX * dx) ** 2 + (otherY * dy) ** 2) {
        row = otherRow;
        col = otherCol;
      }
    }
    const key = row * 4096 + col;
    let hexagon = found.get(key);
    if (hexagon === undefined) {
      hexagon = { xPx: (col + (row & 1) / 2) * dx, yPx: row * dy, right: 0, wrong: 0 };
      found.set(key, hexagon);
    }
    if (isRight[i]! > 0.5) hexagon.right++;
    else hexagon.wrong++;
  }
  return Array.from(found.values(), ({ xPx, yPx, right, wrong }) => ({ xPx, yPx, counts: { right, wrong } }));
}

/** A hexagon's outline about (0, 0). */
export function hexagonPathData(radiusPx: number): string {
  const corners = Array.from({ length: 6 }, (_, i) => {
    const angle = (Math.PI / 3) * i;
    return `${round(Math.sin(angle) * radiusPx)} ${round(-Math.cos(angle) * radiusPx)}`;
  });
  return `M${corners.join('L')}Z`;
}

const round = (px: number) => Math.round(px * 100) / 100;
