import type { OpenCalibration } from '../../state/statistics-queries';

/** One cell of the calibration's sprite sheet, at its natural size. */
export function Thumbnail({
  calibration,
  cell,
}: {
  readonly calibration: OpenCalibration;
  readonly cell: number | undefined;
}) {
  const sprites = calibration.loaded.facts?.sprites;
  if (!sprites || calibration.folderUrl === undefined) return null;
  if (cell === undefined) return <span className="thumbnail" />;
  const { file, cols, cellPx } = sprites;
  return (
    <span
      className="thumbnail"
      aria-hidden="true"
      style={{
        width: cellPx,
        height: cellPx,
        backgroundImage: `url("${calibration.folderUrl}${file}")`,
        backgroundPosition: `${-(cell % cols) * cellPx}px ${-Math.floor(cell / cols) * cellPx}px`,
      }}
    />
  );
}
