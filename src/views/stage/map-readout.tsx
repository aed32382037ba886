import { useMemo } from 'react';
import { ranksDescending, summariseMap } from '../../math/maps/map-values';
import { hasPadding, type Patch, patchAtIndex, patchIndex, unseenShare } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { selectTokensOnPatch } from '../../state/token-selection';
import { formatCount, formatPercent, formatValue } from '../../text/number-format';
import type { Bench } from '../shared/use-bench';
import './map-readout.css';

const selectPointed = (choices: Choices) => choices.pointedPatch;
const selectPicked = (choices: Choices) => choices.pickedPatch;

/** Under the image: which map this is, and the numbers of the patch pointed at. Two lines, always. */
export function MapReadout({ bench }: { readonly bench: Bench }) {
  const pointed = useChoices(selectPointed);
  const picked = useChoices(selectPicked);
  const { map } = bench;
  const patch = pointed ?? picked;
  return (
    <figcaption className="readout">
      <p className="readout-title">{mapTitle(bench)}</p>
      <p className="readout-numbers mono">
        {map && (patch ? <PatchNumbers bench={bench} patch={patch} /> : <MapNumbers bench={bench} />)}
      </p>
      <p className="readout-note">{picked ? <RestsOnPatch bench={bench} patch={picked} /> : mapNote(bench)}</p>
    </figcaption>
  );
}

function mapTitle({ run, selected, map }: Bench): string {
  if (run.tokens.length === 0) return 'No words yet';
  if (map === undefined) return run.header.head ? 'No map for this selection' : 'This run has no maps';
  const isWhole = map.tokenIndices.length === run.tokens.length && run.tokens.length > 1;
  if (isWhole) return `Mean of all ${run.tokens.length} maps of the answer`;
  const words = selected.map((index) => run.tokens[index]?.text ?? '');
  const isContiguous = selected.every((index, i) => i === 0 || index === selected[i - 1]! + 1);
  const text = isContiguous ? words.join('').trim() : words.map((word) => word.trim()).join(' + ');
  const shortened = text.length > 42 ? `${text.slice(0, 40)}…` : text;
  return selected.length === 1 ? `Map of “${shortened}”` : `Mean map of “${shortened}”`;
}

function mapNote({ run, map, frame }: Bench): string {
  if (map && map.missing.length > 0) return `${formatCount(map.missing.length, 'token has', 'tokens have')} no map.`;
  if (run.header.head === undefined) return '';
  const unseen = unseenShare(frame.placement);
  if (unseen > 0) {
    return `Veiled: the ${formatPercent(unseen)} that the model never saw (${run.header.geometry.preprocessing}).`;
  }
  if (hasPadding(frame.placement)) return 'Outside of the image lies the padding that the model was given with it.';
  return 'Pick a patch to mark the words that rest on it.';
}

function MapNumbers({ bench }: { readonly bench: Bench }) {
  const { map, frame } = bench;
  if (map === undefined) return null;
  const { max, maxIndex } = summariseMap(map.values);
  const peak = patchAtIndex(frame.placement.grid, maxIndex);
  return (
    <>
      peak {formatValue(max)} at r{peak.row + 1} c{peak.col + 1}
    </>
  );
}

function PatchNumbers({ bench, patch }: { readonly bench: Bench; readonly patch: Patch }) {
  const { map, frame } = bench;
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

function RestsOnPatch({ bench, patch }: { readonly bench: Bench; readonly patch: Patch }) {
  const { run, record, frame, threshold } = bench;
  const index = frame.placement.first + patchIndex(frame.placement.grid, patch);
  const resting = selectTokensOnPatch(run.tokens, (token) => record.mapOf(token), index, threshold);
  const shown = resting.slice(0, 4);
  return (
    <>
      {resting.length === 0
        ? `No word reaches ${formatValue(threshold)} on r${patch.row + 1} c${patch.col + 1}. `
        : `On r${patch.row + 1} c${patch.col + 1} rest `}
      {shown.map(({ index: token, value }, i) => (
        <span key={token}>
          {i > 0 && ', '}
          <mark>{run.tokens[token]?.text.trim()}</mark> {formatValue(value)}
        </span>
      ))}
      {resting.length > shown.length && ` and ${resting.length - shown.length} more`}
      {resting.length > 0 && '. '}
      <button type="button" className="link-button" onClick={() => useChoices.getState().pickPatch(undefined)}>
        Clear
      </button>
    </>
  );
}
