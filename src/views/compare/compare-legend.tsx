import { useLayoutEffect, useMemo, useRef } from 'react';
import { Label, Slider, SliderOutput } from 'react-aria-components';
import { type HeadMethod, headMethods, methods } from '../../contract/methods';
import { createColourTable } from '../../marks/colour-table';
import { drawColourBar } from '../../marks/legend';
import type { ValueScale } from '../../state/compare-settings';
import { usualThresholds } from '../../state/panel-map';
import { thresholdSetting } from '../../state/view-settings';
import { formatValue } from '../../text/number-format';
import { colourMaps } from '../../theme/colour-maps';
import { PlainTrack } from '../shared/plain-track';
import { LegendAxis, unitTicks } from '../stage/legend-axis';
import type { ShownComparison } from './use-shown-comparison';

/** `heads`: the panels' methods whose maps are probabilities. */
function scaleInWords(values: ValueScale, heads: readonly HeadMethod[]): string {
  const [first = 'fastrm'] = heads;
  const isOne = heads.length < 2;
  switch (values) {
    case 'given':
      return `${isOne ? methods[first].name : 'Heads'}: colours show probabilities, 0 to 1. Other maps: colours show shares of the map’s maximum.`;
    case 'share':
      return `Colours show shares of each map’s maximum, ${isOne ? methods[first].name : 'heads'} included; every map reaches 1.`;
    case 'rank':
      return 'Colours show ranks: the share of the map’s patches with a lower value.';
  }
}

/** Maps with several frames are ranked per frame, as displayed. */
const ranksOfFrame = 'Colours show ranks: the share of this frame’s patches with a lower value.';

/** The colour bar shared by all panels, its scale in words, and the outline thresholds: one per head, one for the rest. */
export function CompareLegend({ shown }: { readonly shown: ShownComparison }) {
  const { settings, setSettings, compare, thresholds, panels, run, frame, offers } = shown;
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => createColourTable(colourMaps[settings.colours].colourAt), [settings.colours]);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, [0, 1], table);
  }, [table]);
  const heads = headMethods.filter((method) => panels.includes(method));
  const usual = usualThresholds(run.header, offers);
  const isRankedByFrame = compare.values === 'rank' && frame.all.length > 1;
  return (
    <section className="compare-legend" aria-label="Legend">
      <div>
        <canvas ref={canvas} className="signed-bar" />
        <LegendAxis ticks={unitTicks} />
        <p className="legend-scale">{isRankedByFrame ? ranksOfFrame : scaleInWords(compare.values, heads)}</p>
      </div>
      {heads.map((method) => (
        <Threshold
          key={method}
          label={`${methods[method].name} outline: probability`}
          value={thresholds.classification[method]}
          usual={usual.classification[method]}
          isUsual={settings[thresholdSetting(method)] === null}
          onChange={(threshold) => void setSettings({ [thresholdSetting(method)]: threshold })}
        />
      ))}
      {heads.length < panels.length && (
        <Threshold
          label={heads.length > 0 ? 'Other outlines: share of maximum' : 'Outline: share of maximum'}
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
