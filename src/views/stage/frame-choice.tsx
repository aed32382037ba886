import type { FrameName } from '../../contract/run';
import { useChoices } from '../../state/choices';
import { Choice } from '../shared/choice';
import './frame-choice.css';
import type { ShownRun } from '../shared/use-shown-run';

const names: Record<FrameName, string> = { image: 'Image', detail: 'Detail', overview: 'Overview' };

/** Lets the user choose the frame on screen. Renders nothing if the model reads the image as one frame. */
export function FrameChoice({ shown }: { readonly shown: ShownRun }) {
  const { frame, setSettings } = shown;
  if (frame.all.length === 1) return null;
  const onChange = (name: FrameName) => {
    // Frames have different grids, so the same row and column would mean a different place in each.
    useChoices.getState().pointPatch(undefined);
    useChoices.getState().pickPatch(undefined);
    void setSettings({ frame: name === frame.all[0]?.name ? null : name });
  };
  return (
    <div className="frame-choice">
      <Choice
        label="Frame shown"
        value={frame.name}
        onChange={onChange}
        options={frame.all.map(({ name, grid }) => ({
          value: name,
          text: `${names[name]}, ${grid.rows} × ${grid.cols}`,
        }))}
      />
    </div>
  );
}
