import { create } from 'zustand';
import { wholeView, type Zoom } from '../math/maps/zoom';

/** The part of the image that all panels show. */
export const useZoom = create<{ readonly zoom: Zoom }>(() => ({ zoom: wholeView }));

export function setZoom(zoom: Zoom): void {
  useZoom.setState({ zoom });
}
