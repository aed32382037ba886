import { drawFigure } from '../marks/figure';
import { outlinePathData, traceOutline } from '../math/threshold-outline';
import { mapAsCsv, mapAsJson, mapCaption } from '../state/map-file';
import { saveFile } from './save-file';
import { domainOf, layerTable } from './stage';
import type { Bench } from './use-bench';

/** The map on screen as a file: what is seen, or the numbers with how they were made. */
export function MapExport({ bench }: { readonly bench: Bench }) {
  const { map } = bench;
  if (map === undefined) return null;
  const name = fileName(bench);
  return (
    <p className="export">
      <span className="control-label">Save this map</span>
      <button type="button" className="link-button" onClick={() => void savePng(bench, `${name}.png`)}>
        PNG
      </button>
      <button
        type="button"
        className="link-button"
        onClick={() => saveFile(mapAsCsv(bench, map), 'text/csv', `${name}.csv`)}
      >
        CSV
      </button>
      <button
        type="button"
        className="link-button"
        onClick={() => saveFile(mapAsJson(bench, map), 'application/json', `${name}.json`)}
      >
        JSON
      </button>
    </p>
  );
}

function fileName({ run, selected }: Bench): string {
  const words = selected.map((index) => run.tokens[index]?.text ?? '').join('');
  const slug = words.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
  return `patchlight-${slug.slice(0, 40) || 'map'}`;
}

async function savePng(bench: Bench, name: string): Promise<void> {
  const { map, record, frame, settings, threshold } = bench;
  if (map === undefined) return;
  const image = new Image();
  image.src = record.imageUrl;
  await image.decode();
  const canvas = drawFigure(document, {
    image,
    placement: frame.placement,
    values: map.values,
    domain: domainOf(map, settings),
    table: layerTable(settings.colours, settings.layer),
    opacity: settings.opacityPercent / 100,
    isSmooth: settings.patches === 'smooth',
    caption: mapCaption(bench, map),
    outline: outlinePathData(traceOutline(map.values, frame.placement.grid, threshold)),
  });
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (blob) saveFile(blob, 'image/png', name);
}
