import { type Key, ToggleButton, ToggleButtonGroup } from 'react-aria-components';
import { shortened } from '../../text/visible-text';
import { type ColourMapName, colourMaps } from '../../theme/colour-maps';
import './choice.css';

export interface Option<Value extends string> {
  readonly value: Value;
  readonly text: string;
  readonly swatch?: ColourMapName;
}

/** Names from a table may be of any length. */
const maxOptionChars = 32;

/** A labelled segmented control for choosing one of a few options. */
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
            <span title={option.text.length > maxOptionChars ? option.text : undefined}>
              {shortened(option.text, maxOptionChars)}
            </span>
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
