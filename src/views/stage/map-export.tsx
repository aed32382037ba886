import { useState } from 'react';
import { methods } from '../../contract/methods';
import type { ColourTable } from '../../marks/colour-table';
import { drawFigure } from '../../marks/figure';
import { outlinePathData, traceOutline } from '../../math/maps/threshold-outline';
import { trackOf, useExplaining } from '../../state/explain-session';
import { type Exported, type ExportedMap, mapAsCsv, mapAsJson, mapCaption, mapFileName } from '../../state/map-file';
import { defaultMethod } from '../../state/method-offers';
import { saveFile, saveProblem } from '../shared/save-file';
import type { ShownRun } from '../shared/use-shown-run';
import { domainOf, layerTable } from './map-stage';

/** Saves the map on screen. */
export function MapExport({ shown }: { readonly shown: ShownRun }) {
  const { map, settings, record } = shown;
  const check = useExplaining((state) => trackOf(state, record.id, shown.method).check);
  if (map === undefined) return null;
  return (
    <SaveMap
      shown={shown}
      exported={shown}
      map={{ ...map, pool: 'mean', check }}
      look={{
        values: map.values,
        domain: domainOf(map, settings),
        table: layerTable(settings.colours, settings.layer),
      }}
    />
  );
}

/** Saves a map as an image, or as numbers with provenance. */
export function SaveMap(props: {
  readonly shown: ShownRun;
  readonly exported: Exported;
  readonly map: ExportedMap;
  /** The map as drawn, which may use a different unit from the saved numbers. */
  readonly look: {
    readonly values: Float32Array;
    readonly domain: readonly [number, number];
    readonly table: ColourTable;
  };
  /** Method name, if several maps are on screen. */
  readonly name?: string;
}) {
  const { shown, exported, map, look, name } = props;
  const method = name ?? (map.method === defaultMethod(shown.run.header) ? undefined : methods[map.method].name);
  const file = mapFileName(
    shown.selected.map((index) => shown.run.tokens[index]?.text ?? ''),
    method,
  );
  const [problem, setProblem] = useState<string>();
  const savePng = async () => {
    const { record, frame, settings } = shown;
    const image = new Image();
    image.src = record.imageUrls[frame.image]!;
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
    if (blob === null) throw new Error('the image could not be created');
    saveFile(blob, 'image/png', `${file}.png`);
  };
  const onPng = () => {
    setProblem(undefined);
    savePng().catch((error) => setProblem(saveProblem('image', error)));
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would add an unwanted border
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
