import { wholeView } from '../../math/maps/zoom';
import { useChoices } from '../../state/choices';
import { setZoom, useZoom } from '../../state/shared-zoom';
import { Choice } from '../shared/choice';
import type { CompareBench } from './use-compare';
import { zoomIn, zoomOut } from './zoom-stage';

/** What holds for all panels at once. */
export function CompareBar({ bench }: { readonly bench: CompareBench }) {
  const { compare, setCompare, frame } = bench;
  return (
    <div className="compare-bar">
      <Choice
        label="Values"
        value={compare.values}
        onChange={(values) => void setCompare({ values })}
        options={[
          { value: 'given', text: 'As given' },
          { value: 'share', text: 'Share of maximum' },
          { value: 'rank', text: 'Rank' },
        ]}
      />
      <PoolChoice bench={bench} />
      <ZoomButtons placement={frame.placement} />
    </div>
  );
}

function PoolChoice({ bench }: { readonly bench: CompareBench }) {
  const { compare, setCompare, selected } = bench;
  return (
    <Choice
      label={selected.length < 2 ? 'Several tokens: their' : `${selected.length} tokens: their`}
      value={compare.pool}
      onChange={(pool) => void setCompare({ pool })}
      options={[
        { value: 'mean', text: 'Mean' },
        { value: 'max', text: 'Maximum' },
        { value: 'grounded', text: 'Grounded mean' },
      ]}
    />
  );
}

function ZoomButtons({ placement }: { readonly placement: Parameters<typeof zoomIn>[0] }) {
  const { zoom } = useZoom();
  const isWhole = zoom.scale === 1;
  useChoices((choices) => choices.pickedPatch); // it is what the buttons zoom about
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset draws a frame that has no place here
    <div className="control" role="group" aria-label="Zoom of all panels">
      <div className="control-label">
        Zoom <span className="mono">{zoom.scale.toFixed(1)} ×</span>
      </div>
      <div className="segments">
        <button type="button" className="segment" aria-label="Zoom out" onClick={() => zoomOut(placement)}>
          −
        </button>
        <button type="button" className="segment" aria-label="Zoom in" onClick={() => zoomIn(placement)}>
          +
        </button>
        <button type="button" className="segment" aria-disabled={isWhole} onClick={() => setZoom(wholeView)}>
          All
        </button>
      </div>
    </div>
  );
}
