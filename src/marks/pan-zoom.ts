import { select } from 'd3-selection';
import { zoom as createZoom, type D3ZoomEvent, zoomIdentity, zoomTransform } from 'd3-zoom';
import { maxZoom, type Zoom } from '../math/maps/zoom';

export interface PanZoom {
  /** Applies a zoom that was set elsewhere, by another element or a button. */
  update(zoom: Zoom): void;
  destroy(): void;
}

/**
 * Lets the user zoom and pan a box by wheel, pinch and drag. To keep the page scrollable, a plain wheel and one-finger
 * drags are handled only while the box is zoomed in; otherwise the wheel needs Ctrl or Cmd (a trackpad pinch sends
 * Ctrl).
 */
export function createPanZoom(element: HTMLElement, onZoom: (zoom: Zoom) => void): PanZoom {
  const size = () => [element.clientWidth, element.clientHeight] as const;
  const behaviour = createZoom<HTMLElement, unknown>()
    .scaleExtent([1, maxZoom])
    .extent(() => [[0, 0], [...size()]])
    .filter((event: MouseEvent | WheelEvent | TouchEvent) => {
      behaviour.translateExtent([[0, 0], [...size()]]);
      const isZoomed = zoomTransform(element).k > 1;
      if (event.type === 'wheel') return isZoomed || event.ctrlKey || event.metaKey;
      if ('touches' in event) return isZoomed || event.touches.length > 1;
      return isZoomed && event.button === 0 && !event.ctrlKey;
    })
    .on('zoom', ({ transform, sourceEvent }: D3ZoomEvent<HTMLElement, unknown>) => {
      if (!sourceEvent) return; // caused by `update`
      const [widthPx, heightPx] = size();
      onZoom({ scale: transform.k, x: transform.x / widthPx, y: transform.y / heightPx });
    });
  const selection = select(element).call(behaviour).on('dblclick.zoom', null);

  return {
    update({ scale, x, y }) {
      const [widthPx, heightPx] = size();
      behaviour.translateExtent([
        [0, 0],
        [widthPx, heightPx],
      ]);
      const shown = zoomTransform(element);
      const next = zoomIdentity.translate(x * widthPx, y * heightPx).scale(scale);
      // The element under the pointer already has this zoom; setting it again would interrupt the gesture.
      const isSame = Math.abs(shown.k - next.k) < 1e-9 && Math.hypot(shown.x - next.x, shown.y - next.y) < 1e-6;
      if (!isSame) behaviour.transform(selection, next);
    },
    destroy() {
      selection.on('.zoom', null);
    },
  };
}
