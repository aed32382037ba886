import type { FrameName } from '../../contract/run';
import { useChoices } from '../../state/choices';
import { Choice } from '../shared/choice';
import './frame-choice.css';
import type { Bench } from '../shared/use-bench';

const names: Record<FrameName, string> = { image: 'Image', detail: 'Detail', overview: 'Overview' };

/** Which of the model's readings of the image is on screen. Nothing where it made one only. */
export function FrameChoice({ bench }: { readonly bench: Bench }) {
  const { frame, setSettings } = bench;
  if (frame.all.length === 1) return null;
  const onChange = (name: FrameName) => {
    // Another grid: the same row and column are another place there.
    useChoices.getState().pointPatch(undefined);
    useChoices.getState().pickPatch(undefined);
    void setSettings({ frame: name === frame.all[0]?.name ? null : name });
  };
  return (
    <div className="frame-choice">
      <Choice
        label="The model read the image as"
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
