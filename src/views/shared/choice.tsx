import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { type ColourMapName, colourMaps } from '../../theme/colour-maps';
import './choice.css';

export interface Option<Value extends string> {
  readonly value: Value;
  readonly text: string;
  readonly swatch?: ColourMapName;
}

/** One of a few, as segments under a label. */
export function Choice<Value extends string>(props: {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly Option<Value>[];
  onChange(value: Value): void;
}) {
  const { label, value, options, onChange } = props;
  const onSelectionChange = (keys: Set<Key>) => {
    const chosen = options.find((option) => keys.has(option.value));
    if (chosen) onChange(chosen.value);
  };
  return (
    <div className="control">
      <div className="control-label">{label}</div>
      <ToggleButtonGroup
        className="segments"
        aria-label={label}
        selectionMode="single"
        disallowEmptySelection
        selectedKeys={[value]}
        onSelectionChange={onSelectionChange}
      >
        {options.map((option) => (
          <ToggleButton key={option.value} id={option.value} className="segment">
            {option.swatch && (
              <span className="swatch" aria-hidden="true" style={{ background: gradientOf(option.swatch) }} />
            )}
            {option.text}
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
    </div>
  );
}

function gradientOf(name: ColourMapName): string {
  const stops = Array.from({ length: 9 }, (_, i) => colourMaps[name].colourAt(i / 8));
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}
