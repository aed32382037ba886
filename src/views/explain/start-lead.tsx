import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import { useSampleImages } from '../shared/use-sample-images';
import './start-lead.css';

/** Above the question box before the first question: the model that will answer. */
export function StartLead() {
  const { source } = useServices();
  const status = useSourceStatus(); // `source.model` changes with the status
  const { error, retry } = useSampleImages();
  const { model } = source;
  const device = status.phase === 'ready' ? status.device : undefined;
  return (
    <div className="view-lead start-lead">
      <p className="eyebrow">Model on the companion</p>
      <h1>{model?.name ?? (status.phase === 'failed' ? 'Not connected' : 'Connecting')}</h1>
      <p className="start-facts mono">
        {model && [model.family, model.dtype, device].filter((fact) => fact !== undefined).join(' · ')}
      </p>
      <p className="start-purpose">
        Ask it about an image, then select a word of the answer to see which image patches the word rested on.
      </p>
      {error && (
        <p role="alert">
          The sample images could not be read ({error.message}).{' '}
          <button type="button" className="link-button" onClick={retry}>
            Try again
          </button>
          , or choose an image of your own.
        </p>
      )}
    </div>
  );
}
