import { useMemo } from 'react';
import { ranksDescending, summariseMap } from '../../math/maps/map-values';
import { hasPadding, type Patch, patchAtIndex, patchIndex, unseenShare } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { selectTokensOnPatch } from '../../state/token-selection';
import { formatCount, formatPercent, formatValue } from '../../text/number-format';
import { shortened } from '../../text/visible-text';
import type { ShownRun } from '../shared/use-shown-run';
import './map-readout.css';

const selectPointed = (choices: Choices) => choices.pointedPatch;
const selectPicked = (choices: Choices) => choices.pickedPatch;

/** Caption below the image: the map's title, the values of the current patch, and a note. Its height is fixed. */
export function MapReadout({ shown }: { readonly shown: ShownRun }) {
  const pointed = useChoices(selectPointed);
  const picked = useChoices(selectPicked);
  const { map } = shown;
  const patch = pointed ?? picked;
  return (
    <figcaption className="readout">
      <p className="readout-title">{mapTitle(shown)}</p>
      <p className="readout-numbers mono">
        {map && (patch ? <PatchNumbers shown={shown} patch={patch} /> : <MapNumbers shown={shown} />)}
      </p>
      <p className="readout-note">{picked ? <TokensOnPatch shown={shown} patch={picked} /> : mapNote(shown)}</p>
    </figcaption>
  );
}

function mapTitle({ run, selected, map }: ShownRun): string {
  if (run.tokens.length === 0) return 'No words yet';
  if (map === undefined) {
    if (run.header.head === undefined) return 'This run has no maps';
    return run.end === undefined ? 'No map for this selection yet' : 'No map for this selection';
  }
  const isWhole = map.tokenIndices.length === run.tokens.length && run.tokens.length > 1;
  if (isWhole) return `Mean of all ${run.tokens.length} maps`;
  const words = selected.map((index) => run.tokens[index]?.text ?? '');
  const isContiguous = selected.every((index, i) => i === 0 || index === selected[i - 1]! + 1);
  const text = isContiguous ? words.join('').trim() : words.map((word) => word.trim()).join(' + ');
  const cut = shortened(text, 42);
  return selected.length === 1 ? `Map of “${cut}”` : `Mean map of “${cut}”`;
}

function mapNote({ run, map, frame }: ShownRun): string {
  if (map && map.missing.length > 0) return `${formatCount(map.missing.length, 'token has', 'tokens have')} no map.`;
  if (run.header.head === undefined) return '';
  const unseen = unseenShare(frame.placement);
  if (unseen > 0) {
    return `Dimmed: the ${formatPercent(unseen)} of the image that the model did not see (${run.header.geometry.preprocessing}).`;
  }
  if (hasPadding(frame.placement)) return 'The area outside the image is padding added for the model.';
  return 'Click the image to see which words used that patch.';
}

function MapNumbers({ shown }: { readonly shown: ShownRun }) {
  const { map, frame } = shown;
  if (map === undefined) return null;
  const { max, maxIndex } = summariseMap(map.values);
  const peak = patchAtIndex(frame.placement.grid, maxIndex);
  return (
    <>
      peak {formatValue(max)} at r{peak.row + 1} c{peak.col + 1}
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
      r{patch.row + 1} c{patch.col + 1} <strong>{formatValue(map.values[index] ?? 0)}</strong>
      <span className="readout-count">
        rank {ranks[index]} of {ranks.length}
      </span>
    </>
  );
}

function TokensOnPatch({ shown, patch }: { readonly shown: ShownRun; readonly patch: Patch }) {
  const { run, frame, threshold } = shown;
  const index = frame.placement.first + patchIndex(frame.placement.grid, patch);
  const matches = selectTokensOnPatch(run.tokens, run.mapOf, index, threshold);
  const strongest = matches.slice(0, 4);
  return (
    <>
      {matches.length === 0
        ? `No word reaches ${formatValue(threshold)} at r${patch.row + 1} c${patch.col + 1}. `
        : `Words that used r${patch.row + 1} c${patch.col + 1}: `}
      {strongest.map(({ index: token, value }, i) => (
        <span key={token}>
          {i > 0 && ', '}
          <mark>{shortened(run.tokens[token]?.text.trim() ?? '', 20)}</mark> {formatValue(value)}
        </span>
      ))}
      {matches.length > strongest.length && ` and ${matches.length - strongest.length} more`}
      {matches.length > 0 && '. '}
      <button type="button" className="link-button" onClick={() => useChoices.getState().pickPatch(undefined)}>
        Clear
      </button>
    </>
  );
}
