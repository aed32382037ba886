import { memo } from 'react';
import type { RunHeader } from '../../contract/run';
import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import './colophon.css';

/** Shown until the model's description has loaded. */
const embeddedDescription =
  'This tiny model (a LLaVA with a few million parameters) knows only rendered scenes of spheres, cubes and cylinders.';

/** The footer: the model, what it knows, and how maps are made. */
export const Colophon = memo(function Colophon({ header }: { readonly header: RunHeader | undefined }) {
  const { source } = useServices();
  const status = useSourceStatus(); // `source.model` changes with the status
  const device = status.phase === 'ready' ? status.device : undefined;
  const isRemote = source.kind === 'companion';
  // The examples were recorded with the embedded model; a companion's model is unknown until it connects.
  const model = source.model ?? (isRemote ? undefined : header?.model);
  const preprocessing = header?.geometry.preprocessing;
  return (
    <footer className="colophon">
      <section aria-labelledby="who">
        <h2 id="who" className="eyebrow">
          About the model
        </h2>
        <p>
          {model && <strong>{model.name}. </strong>}
          {model?.knows ?? (isRemote ? 'The companion has not described its model yet.' : embeddedDescription)}
        </p>
        {isRemote ? (
          <p>
            It runs on the companion that serves this page{device && `, on ${device}`}
            {model && `, in ${model.dtype}`}. A small model with recorded examples is built into this page;{' '}
            <a className="link-button" href="?source=embedded">
              use that model instead
            </a>
            .
          </p>
        ) : (
          <EmbeddedVocabulary />
        )}
      </section>
      <section aria-labelledby="how">
        <h2 id="how" className="eyebrow">
          How a map is made
        </h2>
        <p>
          Gradient methods such as Chefer relevancy need a backward pass through the whole model for every token. The
          FastRM head predicts their result from the model’s last hidden states: one number from 0 to 1 per patch for
          each token, while the answer streams.
        </p>
        <p>
          Images are preprocessed for the model: {preprocessing ?? 'resized and cropped to a square'}. The map is placed
          over the same patches of your image; parts that the model did not see are dimmed.
        </p>
      </section>
      <section aria-labelledby="trust">
        <h2 id="trust" className="eyebrow">
          How far to trust a map
        </h2>
        <p>
          A map shows what the answer rested on, not whether it is right. It is an estimate of the gradient method’s
          map, so treat values near the threshold with care.
        </p>
        <p>
          {isRemote
            ? 'Your image and question go only to the companion that serves this page; FastRM maps are computed in your browser. No usage data is collected.'
            : 'Nothing leaves this machine: your image, question and answer stay on this page. There is no server, and no usage data is collected.'}
        </p>
      </section>
    </footer>
  );
});

function EmbeddedVocabulary() {
  return (
    <>
      <p>
        It knows the colours red, green, blue, yellow, purple, cyan, brown and gray; the sizes small and large; and the
        materials metal (shiny) and rubber (matte). Ask what something is, whether it is there, how many there are, or
        what is next to it, or type “Describe the image.”
      </p>
      <p>
        <strong>It does not understand photographs.</strong> It treats a photograph as if it were a rendered scene. For
        photographs, use your own model.
      </p>
    </>
  );
}
