// A fixed relevancy map over a drawn image of two objects, one more relevant than the other.
import type { Placement } from '../math/maps/patch-geometry';

export const grid = { rows: 24, cols: 24 };

/** The whole image, one patch per 14 x 14 pixels. */
export const placement: Placement = {
  sourceWidthPx: 336,
  sourceHeightPx: 336,
  crop: { xPx: 0, yPx: 0, widthPx: 336, heightPx: 336 },
  grid,
};

/** A wide image; the model sees only its centre. */
export const croppedPlacement: Placement = {
  sourceWidthPx: 480,
  sourceHeightPx: 336,
  crop: { xPx: 72, yPx: 0, widthPx: 336, heightPx: 336 },
  grid,
};

/** Flat colours keep the screenshots small. */
const drawing = (widthPx: number) => `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="336">
<path fill="#b9bdc2" d="M0 0H${widthPx}V336H0Z"/><path fill="#8f949b" d="M0 210H${widthPx}V336H0Z"/>
<circle cx="${widthPx / 2 - 56}" cy="182" r="56" fill="#b3402f"/>
<path fill="#2f6db3" d="M${widthPx / 2 + 42} 154h77v77h-77Z"/></svg>`;

const imageOf = ({ sourceWidthPx, sourceHeightPx }: Placement) => ({
  url: `data:image/svg+xml,${encodeURIComponent(drawing(sourceWidthPx))}`,
  alt: 'A red disk and a blue square on a grey floor',
  widthPx: sourceWidthPx,
  heightPx: sourceHeightPx,
});

export const image = imageOf(placement);
export const croppedImage = imageOf(croppedPlacement);

/** A Gaussian bump, with its position and radius in patches. */
type Bump = readonly [row: number, col: number, radius: number, height: number];

export const map = mapOf([
  [12.5, 7.5, 3, 0.93],
  [13.5, 17, 2, 0.44],
]);

/** Another method's map of the same token. */
export const otherMap = mapOf([
  [11.5, 9, 4, 0.62],
  [13.5, 17, 2.5, 0.86],
]);

/** Returns row-major values from 0 to 1. */
function mapOf(bumps: readonly Bump[]): Float32Array {
  return Float32Array.from({ length: grid.rows * grid.cols }, (_, i) => {
    const [row, col] = [Math.floor(i / grid.cols), i % grid.cols];
    return bumps.reduce(
      (sum, [atRow, atCol, radius, height]) =>
        sum + height * Math.exp(-((row - atRow) ** 2 + (col - atCol) ** 2) / (2 * radius ** 2)),
      0,
    );
  });
}
