import { useLayoutEffect, useMemo, useRef } from 'react';
import { Label, Slider, SliderOutput } from 'react-aria-components';
import { methods } from '../../contract/methods';
import { createColourTable } from '../../marks/colour-table';
import { drawColourBar } from '../../marks/legend';
import type { ValueScale } from '../../state/compare-settings';
import { formatValue } from '../../text/number-format';
import { colourMaps } from '../../theme/colour-maps';
import { PlainTrack } from '../shared/plain-track';
import type { CompareBench } from './use-compare';

const ticks = [0, 0.25, 0.5, 0.75, 1];

const scaleWords: Record<ValueScale, string> = {
  given: 'FastRM’s colours are its probabilities, 0 to 1; every other map’s are shares of that map’s own maximum.',
  share: 'Colours are shares of each map’s own maximum, FastRM’s too: every map reaches 1.',
  rank: 'Colours are ranks: the share of the map’s patches that a patch outranks, whatever the values.',
};

/** Maps of several frames are ranked frame by frame, as they are shown. */
const ranksOfFrame =
  'Colours are ranks: the share of the shown frame’s patches that a patch outranks, whatever the values.';

/** One bar of colours for all panels, in words what it spans, and where each kind of map is outlined. */
export function CompareLegend({ bench }: { readonly bench: CompareBench }) {
  const { settings, setSettings, compare, setCompare, thresholds, panels, run, frame } = bench;
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => createColourTable(colourMaps[settings.colours].colourAt), [settings.colours]);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, [0, 1], table);
  }, [table]);
  const kinds = new Set(panels.map((method) => methods[method].values));
  const { head } = run.header;
  const isRankedByFrame = compare.values === 'rank' && frame.all.length > 1;
  return (
    <section className="compare-legend" aria-label="Legend">
      <div>
        <canvas ref={canvas} className="signed-bar" />
        <div className="legend-axis mono" aria-hidden="true">
          {ticks.map((tick) => (
            <span key={tick} style={{ left: `${tick * 100}%` }}>
              {tick}
            </span>
          ))}
        </div>
        <p className="legend-scale">{isRankedByFrame ? ranksOfFrame : scaleWords[compare.values]}</p>
      </div>
      {kinds.has('probability') && (
        <Threshold
          label="FastRM outlined at probability"
          value={thresholds.classification}
          usual={head?.classificationThreshold}
          isUsual={settings.threshold === null}
          onChange={(threshold) => void setSettings({ threshold })}
        />
      )}
      {kinds.has('magnitude') && (
        <Threshold
          label={kinds.has('probability') ? 'Others outlined at share of maximum' : 'Outlined at share of maximum'}
          value={thresholds.share}
          usual={head?.labellingThreshold}
          isUsual={compare.shareThreshold === null}
          onChange={(shareThreshold) => void setCompare({ shareThreshold })}
        />
      )}
    </section>
  );
}

function Threshold(props: {
  readonly label: string;
  readonly value: number;
  readonly usual: number | undefined;
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
            reset
          </button>
        )}
      </div>
      <PlainTrack share={value} />
    </Slider>
  );
}
