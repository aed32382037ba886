import { SliderThumb, SliderTrack } from 'react-aria-components';
import './plain-track.css';

/** A slider's line, filled up to its thumb. */
export function PlainTrack({ share }: { readonly share: number }) {
  return (
    <SliderTrack className="plain-track">
      <div className="plain-fill" style={{ width: `${share * 100}%` }} />
      <SliderThumb className="plain-thumb" />
    </SliderTrack>
  );
}
