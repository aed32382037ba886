import type { Grid } from './patch-geometry';

/** A corner of the patch grid: (0,0) is the top left corner of the first patch. */
export type Corner = readonly [col: number, row: number];

/** Right, down, left, up: the order in which a turn to the right is the next one. */
const steps = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/**
 * The borders of the patches at or above `threshold`, as closed loops of grid corners without collinear ones.
 * Follows patch edges exactly (marching squares would cut corners off), with the patches inside on the right hand:
 * outer borders run clockwise on screen, holes the other way. Patches that touch only in a corner stay apart.
 */
export function traceOutline(values: Float32Array, grid: Grid, threshold: number): Corner[][] {
  const { rows, cols } = grid;
  const isAbove = (row: number, col: number) =>
    row >= 0 && col >= 0 && row < rows && col < cols && values[row * cols + col]! >= threshold;
  const stride = cols + 1;
  /** One bit a direction: which border edges leave this corner. */
  const leaving = new Uint8Array((rows + 1) * stride);
  const leave = (col: number, row: number, direction: number) => {
    const at = row * stride + col;
    leaving[at] = leaving[at]! | (1 << direction);
  };
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      if (!isAbove(row, col)) continue;
      if (!isAbove(row - 1, col)) leave(col, row, 0);
      if (!isAbove(row, col + 1)) leave(col + 1, row, 1);
      if (!isAbove(row + 1, col)) leave(col + 1, row + 1, 2);
      if (!isAbove(row, col - 1)) leave(col, row + 1, 3);
    }
  }
  const loops: Corner[][] = [];
  for (let start = 0; start < leaving.length; start++) {
    while (leaving[start] !== 0) loops.push(followBorder(leaving, start, stride));
  }
  return loops;
}

function followBorder(leaving: Uint8Array, start: number, stride: number): Corner[] {
  const loop: Corner[] = [];
  let at = start;
  let direction = -1;
  do {
    const next = chooseDirection(leaving[at]!, direction);
    leaving[at] = leaving[at]! & ~(1 << next);
    if (next !== direction) loop.push([at % stride, Math.floor(at / stride)]);
    const [dx, dy] = steps[next]!;
    at += dy * stride + dx;
    direction = next;
  } while (at !== start);
  return dropCollinearStart(loop);
}

/** The sharpest turn to the right first, so that two patches that meet in a corner are two loops. */
function chooseDirection(bits: number, arrivedBy: number): number {
  for (const turn of arrivedBy < 0 ? [0, 1, 2, 3] : [1, 0, 3]) {
    const direction = (Math.max(arrivedBy, 0) + turn) % 4;
    if (bits & (1 << direction)) return direction;
  }
  throw new Error('a border of patches does not close');
}

function dropCollinearStart(loop: Corner[]): Corner[] {
  const [first, second, last] = [loop[0], loop[1], loop.at(-1)];
  if (!first || !second || !last) return loop;
  const isStraight =
    (first[0] === second[0] && first[0] === last[0]) || (first[1] === second[1] && first[1] === last[1]);
  return isStraight ? loop.slice(1) : loop;
}

/** Loops as SVG path data, in units of patches. */
export function outlinePathData(loops: readonly (readonly Corner[])[]): string {
  return loops.map((loop) => `M${loop.map(([col, row]) => `${col} ${row}`).join('L')}Z`).join('');
}
