import type { Grid } from './patch-geometry';

/** A corner of the patch grid: (0,0) is the top left corner of the first patch. */
export type Corner = readonly [col: number, row: number];

/** Right, down, left, up: each is a right turn from the previous one. */
const steps = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/**
 * Traces the borders of the patches at or above `threshold` as closed loops of grid corners, leaving out collinear
 * corners. Follows patch edges exactly (marching squares would cut corners), keeping the patches on the right: outer
 * borders run clockwise on screen, holes anticlockwise. Patches that touch only at a corner get separate loops.
 */
export function traceOutline(values: Float32Array, grid: Grid, threshold: number): Corner[][] {
  const { rows, cols } = grid;
  const isAbove = (row: number, col: number) =>
    row >= 0 && col >= 0 && row < rows && col < cols && values[row * cols + col]! >= threshold;
  const stride = cols + 1;
  /** Border edges that start at each corner, one bit per direction. */
  const edges = new Uint8Array((rows + 1) * stride);
  const addEdge = (col: number, row: number, direction: number) => {
    const at = row * stride + col;
    edges[at] = edges[at]! | (1 << direction);
  };
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      if (!isAbove(row, col)) continue;
      if (!isAbove(row - 1, col)) addEdge(col, row, 0);
      if (!isAbove(row, col + 1)) addEdge(col + 1, row, 1);
      if (!isAbove(row + 1, col)) addEdge(col + 1, row + 1, 2);
      if (!isAbove(row, col - 1)) addEdge(col, row + 1, 3);
    }
  }
  const loops: Corner[][] = [];
  for (let start = 0; start < edges.length; start++) {
    while (edges[start] !== 0) loops.push(followBorder(edges, start, stride));
  }
  return loops;
}

function followBorder(edges: Uint8Array, start: number, stride: number): Corner[] {
  const loop: Corner[] = [];
  let at = start;
  let direction = -1;
  do {
    const next = chooseDirection(edges[at]!, direction);
    edges[at] = edges[at]! & ~(1 << next);
    if (next !== direction) loop.push([at % stride, Math.floor(at / stride)]);
    const [dx, dy] = steps[next]!;
    at += dy * stride + dx;
    direction = next;
  } while (at !== start);
  return dropCollinearStart(loop);
}

/** Tries the right turn first, which puts two patches that meet at a corner in separate loops. */
function chooseDirection(bits: number, arrivedBy: number): number {
  for (const turn of arrivedBy < 0 ? [0, 1, 2, 3] : [1, 0, 3]) {
    const direction = (Math.max(arrivedBy, 0) + turn) % 4;
    if (bits & (1 << direction)) return direction;
  }
  throw new Error('the outline of the patches is not closed');
}

function dropCollinearStart(loop: Corner[]): Corner[] {
  const [first, second, last] = [loop[0], loop[1], loop.at(-1)];
  if (!first || !second || !last) return loop;
  const isStraight =
    (first[0] === second[0] && first[0] === last[0]) || (first[1] === second[1] && first[1] === last[1]);
  return isStraight ? loop.slice(1) : loop;
}

/** Converts loops to SVG path data, in units of patches. */
export function outlinePathData(loops: readonly (readonly Corner[])[]): string {
  return loops.map((loop) => `M${loop.map(([col, row]) => `${col} ${row}`).join('L')}Z`).join('');
}
