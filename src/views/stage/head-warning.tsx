import type { RunHeader } from '../../contract/run';
import { headWarning } from '../../state/head-warning';
import './head-warning.css';

/** A warning next to a FastRM map whose head was not trained on the model. Renders nothing if it was. */
export function HeadWarning({ header }: { readonly header: Pick<RunHeader, 'head' | 'model'> }) {
  const warning = headWarning(header);
  return warning === undefined ? null : <p className="head-warning">{warning}</p>;
}
