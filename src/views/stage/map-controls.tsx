import { memo } from 'react';
import { Label, Slider } from 'react-aria-components';
import type { SetViewSettings, ViewSettings } from '../../state/view-settings';
import { colourMapNames, colourMaps } from '../../theme/colour-maps';
import { Choice } from '../shared/choice';
import { PlainTrack } from '../shared/plain-track';
import './map-controls.css';

/** How the map is drawn. All of it lives in the address. */
export const MapControls = memo(function MapControls(props: {
  readonly settings: ViewSettings;
  readonly setSettings: SetViewSettings;
  /** False where the scale is chosen elsewhere. */
  readonly hasScale?: boolean;
}) {
  const { settings, setSettings, hasScale = true } = props;
  return (
    <div className="controls">
      <Choice
        label="Colours"
        value={settings.colours}
        onChange={(colours) => setSettings({ colours })}
        options={colourMapNames.map((name) => ({ value: name, text: colourMaps[name].name, swatch: name }))}
      />
      {hasScale && (
        <Choice
          label="Scale"
          value={settings.scale}
          onChange={(scale) => setSettings({ scale })}
          options={[
            { value: 'fixed', text: 'Fixed 0–1' },
            { value: 'own', text: 'Per map' },
          ]}
        />
      )}
      <Choice
        label="Patches"
        value={settings.patches}
        onChange={(patches) => setSettings({ patches })}
        options={[
          { value: 'nearest', text: 'Sharp' },
          { value: 'smooth', text: 'Smooth' },
        ]}
      />
      <Choice
        label="Low values"
        value={settings.layer}
        onChange={(layer) => setSettings({ layer })}
        options={[
          { value: 'faded', text: 'Faded' },
          { value: 'even', text: 'Full' },
        ]}
      />
      <Slider
        className="control opacity"
        minValue={0}
        maxValue={100}
        step={5}
        value={settings.opacityPercent}
        onChange={(value) => setSettings({ opacityPercent: value as number })}
      >
        <div className="control-label">
          <Label>Opacity</Label> <span className="mono">{settings.opacityPercent} %</span>
        </div>
        <PlainTrack share={settings.opacityPercent / 100} />
      </Slider>
    </div>
  );
});
