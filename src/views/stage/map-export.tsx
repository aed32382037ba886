import { useState } from 'react';
import type { ColourTable } from '../../marks/colour-table';
import { drawFigure } from '../../marks/figure';
import { outlinePathData, traceOutline } from '../../math/maps/threshold-outline';
import { type Exported, type ExportedMap, mapAsCsv, mapAsJson, mapCaption } from '../../state/map-file';
import { saveFile, saveProblem } from '../shared/save-file';
import type { Bench } from '../shared/use-bench';
import { domainOf, layerTable } from './stage';

/** The map on screen as a file. */
export function MapExport({ bench }: { readonly bench: Bench }) {
  const { map, settings } = bench;
  if (map === undefined) return null;
  return (
    <SaveMap
      bench={bench}
      exported={bench}
      map={{ ...map, method: 'fastrm', pool: 'mean' }}
      look={{
        values: map.values,
        domain: domainOf(map, settings),
        table: layerTable(settings.colours, settings.layer),
      }}
    />
  );
}

/** A map as a file: what is seen, or the numbers with how they were made. */
export function SaveMap(props: {
  readonly bench: Bench;
  readonly exported: Exported;
  readonly map: ExportedMap;
  /** As it is drawn, which need not be in the unit that is saved. */
  readonly look: {
    readonly values: Float32Array;
    readonly domain: readonly [number, number];
    readonly table: ColourTable;
  };
  /** Of the map, where several are in sight. */
  readonly name?: string;
}) {
  const { bench, exported, map, look, name } = props;
  const file = fileName(bench, name);
  const [problem, setProblem] = useState<string>();
  const savePng = async () => {
    const { record, frame, settings } = bench;
    const image = new Image();
    image.src = record.imageUrl;
    await image.decode();
    const canvas = drawFigure(document, {
      image,
      placement: frame.placement,
      ...look,
      opacity: settings.opacityPercent / 100,
      isSmooth: settings.patches === 'smooth',
      caption: mapCaption(exported, map),
      outline: outlinePathData(traceOutline(map.values, frame.placement.grid, exported.threshold)),
    });
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob === null) throw new Error('the picture could not be written');
    saveFile(blob, 'image/png', `${file}.png`);
  };
  const onPng = () => {
    setProblem(undefined);
    savePng().catch((error) => setProblem(saveProblem('picture', error)));
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset draws a frame that has no place here
    <p className="export" role="group" aria-label={name === undefined ? 'Save this map' : `Save the map of ${name}`}>
      <span className="control-label">Save this map</span>
      <button type="button" className="link-button" onClick={onPng}>
        PNG
      </button>
      <button
        type="button"
        className="link-button"
        onClick={() => saveFile(mapAsCsv(exported, map), 'text/csv', `${file}.csv`)}
      >
        CSV
      </button>
      <button
        type="button"
        className="link-button"
        onClick={() => saveFile(mapAsJson(exported, map), 'application/json', `${file}.json`)}
      >
        JSON
      </button>
      {problem && <span role="alert">{problem}</span>}
    </p>
  );
}

function fileName({ run, selected }: Bench, name: string | undefined): string {
  const words = [...selected.map((index) => run.tokens[index]?.text ?? ''), name === undefined ? '' : ` ${name}`].join(
    '',
  );
  const slug = words.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '');
  return `patchlight-${slug.slice(0, 60) || 'map'}`;
}
