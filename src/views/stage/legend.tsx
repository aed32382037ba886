import { useLayoutEffect, useMemo, useRef } from 'react';
import { Label, Slider, SliderOutput, SliderThumb, SliderTrack } from 'react-aria-components';
import { createColourTable } from '../../marks/colour-table';
import { drawColourBar, histogramPathData } from '../../marks/legend';
import { countAtOrAbove, countBins } from '../../math/maps/map-values';
import { formatValue } from '../../text/number-format';
import { colourMaps } from '../../theme/colour-maps';
import type { Bench } from '../shared/use-bench';
import { domainOf } from './stage';
import './legend.css';

const ticks = [0, 0.25, 0.5, 0.75, 1];
const histogramBox = { widthPx: 512, heightPx: 26 };

/** Colour bar, histogram and threshold on one axis from 0 to 1, so that the threshold is read where it cuts. */
export function Legend({ bench }: { readonly bench: Bench }) {
  const { map, threshold, settings, setSettings, run } = bench;
  const headThreshold = run.header.head?.classificationThreshold;
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => createColourTable(colourMaps[settings.colours].colourAt), [settings.colours]);
  const domain = useMemo(() => (map ? domainOf(map, settings) : ([0, 1] as const)), [map, settings]);
  const bars = useMemo(() => map && histogramPathData(countBins(map.values, 64), histogramBox), [map]);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, domain, table);
  }, [domain, table]);

  return (
    <Slider
      className="legend"
      minValue={0}
      maxValue={1}
      step={0.01}
      value={threshold}
      onChange={(value) => setSettings({ threshold: value === headThreshold ? null : (value as number) })}
    >
      <div className="legend-head">
        <Label>Outline patches at or above</Label>
        <SliderOutput className="mono">{formatValue(threshold)}</SliderOutput>
        {settings.threshold !== null && headThreshold !== undefined && (
          <button type="button" className="link-button legend-reset" onClick={() => setSettings({ threshold: null })}>
            back to the head’s {formatValue(headThreshold)}
          </button>
        )}
        <span className="legend-count mono">
          {map ? `${countAtOrAbove(map.values, threshold)} of ${map.values.length} patches` : ''}
        </span>
      </div>
      <SliderTrack className="legend-track">
        <svg
          className="legend-bins"
          viewBox={`0 0 ${histogramBox.widthPx} ${histogramBox.heightPx}`}
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          <path d={bars} />
        </svg>
        <canvas ref={canvas} className="legend-bar" />
        {settings.scale === 'own' && map && (
          <div
            className="legend-span"
            aria-hidden="true"
            style={{ left: `${domain[0] * 100}%`, width: `${Math.max(0, domain[1] - domain[0]) * 100}%` }}
          />
        )}
        <SliderThumb className="legend-thumb" aria-label="Classification threshold" />
      </SliderTrack>
      <div className="legend-axis mono" aria-hidden="true">
        {ticks.map((tick) => (
          <span key={tick} style={{ left: `${tick * 100}%` }}>
            {tick}
          </span>
        ))}
      </div>
      <p className="legend-scale">
        {settings.scale === 'fixed'
          ? 'Colours span 0 to 1 in every map.'
          : `Colours span this map’s own ${formatValue(domain[0])} to ${formatValue(domain[1])}.`}{' '}
        Bars: patches, log scale.
      </p>
    </Slider>
  );
}
