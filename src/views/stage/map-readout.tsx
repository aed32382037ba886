import { type ReactNode, useMemo } from 'react';
import { methods } from '../../contract/methods';
import { ranksDescending, summariseMap } from '../../math/maps/map-values';
import { hasPadding, type Patch, patchAtIndex, patchIndex, unseenShare } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { trackOf, useExplaining } from '../../state/explain-session';
import { readValues } from '../../state/panel-map';
import { selectTokensOnPatch } from '../../state/token-selection';
import { formatCount, formatPercent, formatValue } from '../../text/number-format';
import { shortened } from '../../text/visible-text';
import type { ShownRun } from '../shared/use-shown-run';
import { formatInScale } from '../shared/values';
import { MethodLine } from './method-line';
import { ReproductionWarning, Stopped } from './method-progress';
import './map-readout.css';

const selectPointed = (choices: Choices) => choices.pointedPatch;
const selectPicked = (choices: Choices) => choices.pickedPatch;

/** Caption below the image: the map's title and method, the values of the current patch, and a note. Its height is fixed. */
export function MapReadout({ shown }: { readonly shown: ShownRun }) {
  const pointed = useChoices(selectPointed);
  const picked = useChoices(selectPicked);
  const { map } = shown;
  const patch = pointed ?? picked;
  const note = picked ? <TokensOnPatch shown={shown} patch={picked} /> : mapNote(shown);
  return (
    <figcaption className="readout">
      <p className="readout-title">{mapTitle(shown)}</p>
      <p className="readout-numbers mono">
        {map && (patch ? <PatchNumbers shown={shown} patch={patch} /> : <MapNumbers shown={shown} />)}
      </p>
      <MethodLine shown={shown} />
      <div className="readout-note">
        <MethodNote shown={shown}>{note}</MethodNote>
      </div>
    </figcaption>
  );
}

function mapTitle({ run, selected, map, method, offers }: ShownRun): string {
  if (run.tokens.length === 0) return 'No words yet';
  if (map === undefined) {
    const offer = offers.find((one) => one.method === method);
    if (offer?.refusal !== undefined) return 'No map by this method';
    return run.end === undefined || offer?.canExplain ? 'No map for this selection yet' : 'No map for this selection';
  }
  const isWhole = map.tokenIndices.length === run.tokens.length && run.tokens.length > 1;
  if (isWhole) return `Mean of all ${run.tokens.length} maps`;
  const words = selected.map((index) => run.tokens[index]?.text ?? '');
  const isContiguous = selected.every((index, i) => i === 0 || index === selected[i - 1]! + 1);
  const text = isContiguous ? words.join('').trim() : words.map((word) => word.trim()).join(' + ');
  const cut = shortened(text, 42);
  return selected.length === 1 ? `Map of “${cut}”` : `Mean map of “${cut}”`;
}

function mapNote({ run, map, frame, method, offers }: ShownRun): string {
  if (map && map.missing.length > 0) return `${formatCount(map.missing.length, 'token has', 'tokens have')} no map.`;
  if (map === undefined) return offers.find((offer) => offer.method === method)?.refusal ?? '';
  const unseen = unseenShare(frame.placement);
  if (unseen > 0) {
    return `Dimmed: the ${formatPercent(unseen)} of the image that the model did not see (${run.header.geometry.preprocessing}).`;
  }
  if (hasPadding(frame.placement)) return 'The area outside the image is padding added for the model.';
  return 'Click the image to see which words used that patch.';
}

/** Why the selected tokens have no map, or why their map is not to be trusted; otherwise the children. */
function MethodNote({ shown, children }: { readonly shown: ShownRun; readonly children: ReactNode }) {
  const { record, run, method, selected, map } = shown;
  const track = useExplaining((state) => trackOf(state, record.id, method));
  if (map !== undefined && map.missing.length === 0) {
    return track.check?.isSame === false ? <ReproductionWarning check={track.check} /> : children;
  }
  if (track.stop === undefined || run.end === undefined) return children;
  const done = selected.filter((index) => run.mapOf(index, method) !== undefined).length;
  return <Stopped shown={shown} method={method} track={track} done={done} of={selected.length} />;
}

function MapNumbers({ shown }: { readonly shown: ShownRun }) {
  const { run, map, frame } = shown;
  if (map === undefined) return null;
  const { max, maxIndex } = summariseMap(map.values);
  const peak = patchAtIndex(frame.placement.grid, maxIndex);
  // A single frame always contains the map's maximum, so its value would always be 1.
  const isConstant = methods[map.method].values === 'magnitude' && run.header.geometry.frames.length === 1 && max > 0;
  return (
    <>
      peak {isConstant ? '' : `${formatInScale('given', map.method, max)} `}at r{peak.row + 1} c{peak.col + 1}
    </>
  );
}

function PatchNumbers({ shown, patch }: { readonly shown: ShownRun; readonly patch: Patch }) {
  const { map, frame } = shown;
  const ranks = useMemo(() => map && ranksDescending(map.values), [map]);
  if (map === undefined || ranks === undefined) return null;
  const index = patchIndex(frame.placement.grid, patch);
  return (
    <>
      r{patch.row + 1} c{patch.col + 1} <strong>{formatInScale('given', map.method, map.values[index] ?? 0)}</strong>
      <span className="readout-count">
        rank {ranks[index]} of {ranks.length}
      </span>
    </>
  );
}

function TokensOnPatch({ shown, patch }: { readonly shown: ShownRun; readonly patch: Patch }) {
  const { run, frame, method, threshold } = shown;
  const index = frame.placement.first + patchIndex(frame.placement.grid, patch);
  const readOf = (token: number) => {
    const map = run.mapOf(token, method);
    return map && readValues(map);
  };
  const matches = selectTokensOnPatch(run.tokens, readOf, index, threshold);
  const strongest = matches.slice(0, 4);
  const mapped = run.tokens.filter((token) => run.mapOf(token.index, method) !== undefined).length;
  return (
    <>
      {matches.length === 0
        ? `No word reaches ${formatInScale('given', method, threshold)} at r${patch.row + 1} c${patch.col + 1}. `
        : `Words that used r${patch.row + 1} c${patch.col + 1}: `}
      {strongest.map(({ index: token, value }, i) => (
        <span key={token}>
          {i > 0 && ', '}
          <mark>{shortened(run.tokens[token]?.text.trim() ?? '', 20)}</mark> {formatValue(value)}
        </span>
      ))}
      {matches.length > strongest.length && ` and ${matches.length - strongest.length} more`}
      {matches.length > 0 && '. '}
      {mapped < run.tokens.length && `Only ${mapped} of ${run.tokens.length} tokens have this map. `}
      <button type="button" className="link-button" onClick={() => useChoices.getState().pickPatch(undefined)}>
        Clear
      </button>
    </>
  );
}
