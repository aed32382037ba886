import { useMemo } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import { trackOf, useExplaining } from '../../state/explain-session';
import type { PanelDrawing } from '../../state/panel-map';
import { MethodSelect } from '../shared/method-select';
import { formatInScale } from '../shared/values';
import { SaveMap } from '../stage/map-export';
import { layerTable, MapCanvas, Outline, type StageImage } from '../stage/map-stage';
import { PatchGrid } from '../stage/patch-grid';
import { PanelReadout } from './panel-readout';
import { PanelStatus } from './panel-status';
import type { ShownComparison } from './use-shown-comparison';
import { ZoomStage } from './zoom-stage';

const wholeScale = [0, 1] as const;

interface PanelProps {
  readonly shown: ShownComparison;
  readonly image: StageImage;
  readonly method: MethodId;
  /** 0-based, from the left. */
  readonly at: number;
  readonly drawing: PanelDrawing;
  onMethod(method: MethodId): void;
  onMove(by: -1 | 1): void;
  onRemove(): void;
}

/** One method's map of the selected tokens. */
export function Panel({ shown, image, method, at, drawing, onMethod, onMove, onRemove }: PanelProps) {
  const { frame, settings, offers, panels, compare } = shown;
  const { placement } = frame;
  const { colours, layer } = settings;
  const { name, description } = methods[method];
  const table = useMemo(() => layerTable(colours, layer), [colours, layer]);
  const check = useExplaining((state) => trackOf(state, shown.record.id, method).check);
  const map = drawing.kind === 'map' ? drawing.map : undefined;
  const formatPatch = (value: number) => formatInScale(compare.values, method, value);
  return (
    <section className="panel" aria-label={name} data-panel={method}>
      <div className="panel-head">
        <MethodSelect label={`Method of panel ${at + 1}`} method={method} offers={offers} onChange={onMethod} />
        <div className="panel-tools">
          <PanelButton label={`Move ${name} left`} sign="←" isOff={at === 0} onPress={() => onMove(-1)} />
          <PanelButton
            label={`Move ${name} right`}
            sign="→"
            isOff={at === panels.length - 1}
            onPress={() => onMove(1)}
          />
          <PanelButton label={`Remove ${name}`} sign="×" isOff={panels.length === 1} onPress={onRemove} />
        </div>
      </div>
      <ZoomStage image={image} placement={placement}>
        {map ? (
          <>
            <MapCanvas
              values={map.values}
              grid={placement.grid}
              domain={wholeScale}
              table={table}
              settings={settings}
            />
            <Outline values={map.read} grid={placement.grid} threshold={map.threshold} />
            <PatchGrid
              values={map.values}
              placement={placement}
              label={`Patches of ${name}. Arrow keys move in all panels; plus and minus zoom; 0 shows the whole image.`}
              formatPatch={formatPatch}
            />
          </>
        ) : (
          drawing.kind === 'none' && <p className="panel-none">{drawing.reason ?? noMap(shown, method)}</p>
        )}
      </ZoomStage>
      <PanelReadout values={map?.values} grid={placement.grid} formatPatch={formatPatch} />
      <PanelStatus shown={shown} method={method} map={map} />
      <p className="panel-text">{description}</p>
      {map && (
        <SaveMap
          shown={shown}
          exported={{ ...shown, threshold: map.threshold }}
          map={{ ...map, values: map.read, pool: compare.pool, check }}
          look={{ values: map.values, domain: wholeScale, table }}
          name={name}
        />
      )}
    </section>
  );
}

function noMap({ selected, run, offers }: ShownComparison, method: MethodId): string {
  if (run.tokens.length === 0) return 'No words yet';
  const none = selected.length === 1 ? 'No map for this token' : 'No maps for these tokens';
  const mayCome = run.end === undefined || offers.some((offer) => offer.method === method && offer.canExplain);
  return mayCome ? `${none} yet` : none;
}

/** Stays focusable when disabled, so that moving a panel to the end of the row does not lose the focus. */
function PanelButton(props: {
  readonly label: string;
  readonly sign: string;
  readonly isOff: boolean;
  onPress(): void;
}) {
  const { label, sign, isOff, onPress } = props;
  return (
    <button
      type="button"
      className="panel-button"
      aria-label={label}
      aria-disabled={isOff}
      title={label}
      onClick={() => {
        if (!isOff) onPress();
      }}
    >
      {sign}
    </button>
  );
}
