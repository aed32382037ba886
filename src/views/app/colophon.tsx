import { memo } from 'react';
import type { RunHeader } from '../../contract/run';
import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import './colophon.css';

/** Until the model's own words about itself have been read. */
const embeddedKnows =
  'A LLaVA of a few million parameters, trained from scratch on rendered scenes of three to eight spheres, cubes and cylinders.';

/** Who answers, what it knows, and how a map comes about. */
export const Colophon = memo(function Colophon({ header }: { readonly header: RunHeader | undefined }) {
  const { source } = useServices();
  const status = useSourceStatus(); // the model's facts arrive with it
  const device = status.phase === 'ready' ? status.device : undefined;
  const isAway = source.kind === 'companion';
  // The recorded examples are the embedded model's own; a companion has yet to say what it has.
  const model = source.model ?? (isAway ? undefined : header?.model);
  const head = header?.head;
  const preprocessing = header?.geometry.preprocessing;
  return (
    <footer className="colophon">
      <section aria-labelledby="who">
        <h2 id="who" className="eyebrow">
          Which model answers
        </h2>
        <p>
          {model && <strong>{model.name}. </strong>}
          {model?.knows ?? (isAway ? 'The companion has not said yet.' : embeddedKnows)}
        </p>
        {isAway ? (
          <p>
            It runs on the companion that served this page{device && `, on ${device}`}
            {model && `, in ${model.dtype}`}. The recorded examples were answered by the small model that this page also
            has built in;{' '}
            <a className="link-button" href="?source=embedded">
              ask that one instead
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
          A gradient method, {head?.teacher ?? 'Chefer relevancy'}, needs the whole model and a backward pass for every
          word. The FastRM head has learned to predict its outcome from the model’s last hidden states alone: one number
          between 0 and 1 a patch, for each token, while the answer streams.
        </p>
        <p>
          Before the model sees an image, it is prepared: {preprocessing ?? 'resized and cropped to a square'}. The map
          is laid back over your image exactly where those patches were; what was cut off is veiled.
        </p>
      </section>
      <section aria-labelledby="trust">
        <h2 id="trust" className="eyebrow">
          How far to trust it
        </h2>
        <p>
          A map says what the answer rested on, not that the answer is right. It estimates what its teacher would have
          shown, and errs: read it near the threshold with care.
        </p>
        <p>
          {isAway
            ? 'Image and question go to the companion that served this page, and nowhere else; the maps are made here. Nothing is counted.'
            : 'Nothing leaves this machine: image, question and answer stay in this page. There is no server, and nothing is counted.'}
        </p>
      </section>
    </footer>
  );
});

function EmbeddedVocabulary() {
  return (
    <>
      <p>
        It knows red, green, blue, yellow, purple, cyan, brown and gray; small and large; metal, called shiny, and
        rubber, called matte. Ask what something is, whether it is there, how many there are, what stands beside it, or
        “Describe the image.”
      </p>
      <p>
        <strong>It does not know photographs.</strong> Drop one all the same: it will answer as if it were such a scene,
        and the maps will show on what.
      </p>
    </>
  );
}
