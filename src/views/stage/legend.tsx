import { useLayoutEffect, useMemo, useRef } from 'react';
import { Label, Slider, SliderOutput, SliderThumb, SliderTrack } from 'react-aria-components';
import { methods } from '../../contract/methods';
import { createColourTable } from '../../marks/colour-table';
import { drawColourBar, histogramPathData } from '../../marks/legend';
import { countAtOrAbove } from '../../math/maps/map-values';
import { countValues, evenEdges } from '../../math/statistics/histogram';
import { headOf } from '../../state/method-offers';
import { thresholdOf, usualThresholds } from '../../state/panel-map';
import { thresholdSetting } from '../../state/view-settings';
import { formatValue } from '../../text/number-format';
import { colourMaps } from '../../theme/colour-maps';
import type { ShownRun } from '../shared/use-shown-run';
import { formatInScale } from '../shared/values';
import { LegendAxis, unitTicks } from './legend-axis';
import { domainOf } from './map-stage';
import './legend.css';

const histogramBox = { widthPx: 512, heightPx: 26 };

const binEdges = evenEdges(0, 1, 64);

/** Colour bar, histogram and threshold on a shared axis from 0 to 1, so that the threshold lines up with the values. */
export function Legend({ shown }: { readonly shown: ShownRun }) {
  const { map, method, threshold, settings, setSettings, run, offers } = shown;
  const head = headOf(method, run.header, offers);
  const isProbability = methods[method].values === 'probability';
  const usual = thresholdOf(method, usualThresholds(run.header, offers));
  const setting = thresholdSetting(method);
  const chosen = settings[setting];
  const choose = (value: number | null) => void setSettings({ [setting]: value });
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => createColourTable(colourMaps[settings.colours].colourAt), [settings.colours]);
  const domain = useMemo(() => (map ? domainOf(map, settings) : ([0, 1] as const)), [map, settings]);
  const bars = useMemo(() => map && histogramPathData(countValues(map.values, binEdges).counts, histogramBox), [map]);
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
      onChange={(value) => choose(value === usual ? null : (value as number))}
    >
      <div className="legend-head">
        <Label>{isProbability ? 'Outline patches at or above' : 'Outline at or above'}</Label>
        <SliderOutput className="mono">{formatInScale('given', method, threshold)}</SliderOutput>
        {chosen !== null && (
          <button type="button" className="link-button legend-reset" onClick={() => choose(null)}>
            {isProbability && head ? 'reset to the head’s threshold' : 'reset to'} {formatValue(usual)}
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
        <SliderThumb
          className="legend-thumb"
          aria-label={isProbability ? 'Classification threshold' : 'Threshold, as a share of the maximum'}
        />
      </SliderTrack>
      <LegendAxis ticks={unitTicks} />
      <p className="legend-scale">
        {settings.scale === 'fixed'
          ? isProbability
            ? 'Colours range from 0 to 1 in every map.'
            : 'Colours show shares of the map’s maximum.'
          : `Colours range over this map’s values, ${formatValue(domain[0])} to ${formatValue(domain[1])}.`}{' '}
        Bars: patches, log scale.
      </p>
    </Slider>
  );
}
