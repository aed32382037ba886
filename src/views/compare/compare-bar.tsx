import { wholeView } from '../../math/maps/zoom';
import { useChoices } from '../../state/choices';
import { setZoom, useZoom } from '../../state/shared-zoom';
import { Choice } from '../shared/choice';
import type { ShownComparison } from './use-shown-comparison';
import { zoomIn, zoomOut } from './zoom-stage';

/** Settings shared by all panels. */
export function CompareBar({ shown }: { readonly shown: ShownComparison }) {
  const { compare, setCompare, frame } = shown;
  return (
    <div className="compare-bar">
      <Choice
        label="Values"
        value={compare.values}
        onChange={(values) => void setCompare({ values })}
        options={[
          { value: 'given', text: 'Original values' },
          { value: 'share', text: 'Share of maximum' },
          { value: 'rank', text: 'Rank' },
        ]}
      />
      <PoolChoice shown={shown} />
      <ZoomButtons placement={frame.placement} />
    </div>
  );
}

function PoolChoice({ shown }: { readonly shown: ShownComparison }) {
  const { compare, setCompare, selected } = shown;
  return (
    <Choice
      label={selected.length < 2 ? 'Combine tokens by' : `Combine ${selected.length} tokens by`}
      value={compare.pool}
      onChange={(pool) => void setCompare({ pool })}
      options={[
        { value: 'mean', text: 'Mean' },
        { value: 'max', text: 'Maximum' },
        { value: 'grounded', text: 'Grounding-weighted mean' },
      ]}
    />
  );
}

function ZoomButtons({ placement }: { readonly placement: Parameters<typeof zoomIn>[0] }) {
  const { zoom } = useZoom();
  const isWhole = zoom.scale === 1;
  useChoices((choices) => choices.pickedPatch); // re-render when the picked patch changes: the buttons zoom about it
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would add an unwanted border
    <div className="control" role="group" aria-label="Zoom (all panels)">
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
          Fit
        </button>
      </div>
    </div>
  );
}
