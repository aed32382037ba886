import { useLayoutEffect, useMemo, useRef } from 'react';
import { Label, Slider, SliderOutput } from 'react-aria-components';
import { methods } from '../../contract/methods';
import { createColourTable } from '../../marks/colour-table';
import { drawColourBar } from '../../marks/legend';
import type { ValueScale } from '../../state/compare-settings';
import { usualThresholds } from '../../state/panel-map';
import { formatValue } from '../../text/number-format';
import { colourMaps } from '../../theme/colour-maps';
import { PlainTrack } from '../shared/plain-track';
import { LegendAxis, unitTicks } from '../stage/legend-axis';
import type { ShownComparison } from './use-shown-comparison';

const scaleWords: Record<ValueScale, string> = {
  given: 'FastRM: colours show probabilities, 0 to 1. Other maps: colours show shares of the map’s maximum.',
  share: 'Colours show shares of each map’s maximum, FastRM included; every map reaches 1.',
  rank: 'Colours show ranks: the share of the map’s patches with a lower value.',
};

/** Maps with several frames are ranked per frame, as displayed. */
const ranksOfFrame = 'Colours show ranks: the share of this frame’s patches with a lower value.';

/** The colour bar shared by all panels, its scale in words, and one outline threshold per kind of map. */
export function CompareLegend({ shown }: { readonly shown: ShownComparison }) {
  const { settings, setSettings, compare, thresholds, panels, run, frame } = shown;
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => createColourTable(colourMaps[settings.colours].colourAt), [settings.colours]);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, [0, 1], table);
  }, [table]);
  const kinds = new Set(panels.map((method) => methods[method].values));
  const usual = usualThresholds(run.header.head);
  const isRankedByFrame = compare.values === 'rank' && frame.all.length > 1;
  return (
    <section className="compare-legend" aria-label="Legend">
      <div>
        <canvas ref={canvas} className="signed-bar" />
        <LegendAxis ticks={unitTicks} />
        <p className="legend-scale">{isRankedByFrame ? ranksOfFrame : scaleWords[compare.values]}</p>
      </div>
      {kinds.has('probability') && (
        <Threshold
          label="FastRM outline: probability"
          value={thresholds.classification}
          usual={usual.classification}
          isUsual={settings.threshold === null}
          onChange={(threshold) => void setSettings({ threshold })}
        />
      )}
      {kinds.has('magnitude') && (
        <Threshold
          label={kinds.has('probability') ? 'Other outlines: share of maximum' : 'Outline: share of maximum'}
          value={thresholds.share}
          usual={usual.share}
          isUsual={settings.shareThreshold === null}
          onChange={(shareThreshold) => void setSettings({ shareThreshold })}
        />
      )}
    </section>
  );
}

function Threshold(props: {
  readonly label: string;
  readonly value: number;
  readonly usual: number;
  readonly isUsual: boolean;
  onChange(value: number | null): void;
}) {
  const { label, value, usual, isUsual, onChange } = props;
  return (
    <Slider
      className="control opacity threshold"
      minValue={0}
      maxValue={1}
      step={0.01}
      value={value}
      onChange={(next) => onChange(next === usual ? null : (next as number))}
    >
      <div className="control-label">
        <Label>{label}</Label> <SliderOutput className="mono">{formatValue(value)}</SliderOutput>{' '}
        {!isUsual && (
          <button type="button" className="link-button" onClick={() => onChange(null)}>
            reset to {formatValue(usual)}
          </button>
        )}
      </div>
      <PlainTrack share={value} />
    </Slider>
  );
}
