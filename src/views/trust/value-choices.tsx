import {
  Button,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Select,
  SelectValue,
  Slider,
  SliderOutput,
} from 'react-aria-components';
import { type Pooling, poolingNames, poolings } from '../../math/statistics/pooling';
import {
  binCounts,
  type EntropyValue,
  type TrustChoices,
  type TrustSubset,
  useTrustChoices,
} from '../../state/trust-choices';
import type { LoadedCalibration } from '../../statistics/api';
import { Choice } from '../shared/choice';
import { PlainTrack } from '../shared/plain-track';
import { bestSentence, entropyFormulas, entropyNames } from './trust-words';
import type { EntropyChoice } from './use-calibration';
import './value-choices.css';

const selectBandwidth = (choices: TrustChoices) => choices.bandwidthFactor;
const selectBins = (choices: TrustChoices) => choices.bins;
const selectSubset = (choices: TrustChoices) => choices.subset;
const selectHasBrushes = (choices: TrustChoices) => Object.keys(choices.brushes).length > 0;

/** Lets the user choose the entropy and its pooling, and marks the best choice. */
export function EntropyChoices({
  choice,
  loaded,
}: {
  readonly choice: EntropyChoice;
  readonly loaded: LoadedCalibration;
}) {
  const { value, best, isBest, poolings: table } = choice;
  const { setEntropy } = useTrustChoices.getState();
  const aurocOf = (kind: EntropyValue['kind'], pooling: Pooling) =>
    table.rows.find((row) => row.value.of === 'entropy' && row.value.kind === kind && row.value.pooling === pooling)
      ?.auroc;
  const bestAuroc = aurocOf(best.kind, best.pooling);
  const offered = table.rows.filter((row) => row.value.of === 'entropy').length;
  return (
    <div className="choices">
      {loaded.entropies.length > 1 && (
        <Choice
          label="Entropy"
          value={value.kind}
          onChange={(kind) => setEntropy({ kind, pooling: value.pooling })}
          options={loaded.entropies.map((kind) => ({ value: kind, text: entropyNames[kind] }))}
        />
      )}
      {!loaded.isPooled && (
        <Select
          className="control"
          selectedKey={value.pooling}
          onSelectionChange={(key) => setEntropy({ kind: value.kind, pooling: key as Pooling })}
        >
          <Label className="control-label">Pooling</Label>
          <Button className="select">
            <SelectValue>{poolingNames[value.pooling]}</SelectValue>
            <span aria-hidden="true">▾</span>
          </Button>
          <Popover className="menu-popover">
            <ListBox className="menu" items={poolings.map((id) => ({ id }))}>
              {({ id }) => {
                const auroc = aurocOf(value.kind, id);
                return (
                  <ListBoxItem className="menu-item select-item" textValue={poolingNames[id]}>
                    <span>{poolingNames[id]}</span>
                    {auroc && <span className="mono">AUROC {auroc.value.toFixed(3)}</span>}
                  </ListBoxItem>
                );
              }}
            </ListBox>
          </Popover>
        </Select>
      )}
      <p className="choices-note">
        {entropyNames[value.kind]}: {entropyFormulas[value.kind]}.{' '}
        {isBest ? (
          bestAuroc && bestSentence(bestAuroc, offered)
        ) : (
          <button type="button" className="link-button" onClick={() => setEntropy(undefined)}>
            Reset to the best choice
          </button>
        )}
      </p>
    </div>
  );
}

/** Lets the user choose the answers to draw, the bandwidth and the number of bins. */
export function DrawingChoices({ loaded }: { readonly loaded: LoadedCalibration }) {
  const bandwidthFactor = useTrustChoices(selectBandwidth);
  const bins = useTrustChoices(selectBins);
  const subset = useTrustChoices(selectSubset);
  const hasBrushes = useTrustChoices(selectHasBrushes);
  const { setBandwidthFactor, setBins, setSubset } = useTrustChoices.getState();
  const subsets: readonly { readonly value: string; readonly text: string; readonly subset: TrustSubset }[] = [
    { value: 'all', text: 'All', subset: { of: 'all' } },
    ...(loaded.sets.length > 1
      ? loaded.sets.map((name) => ({ value: `set ${name}`, text: name, subset: { of: 'set', name } as const }))
      : []),
    ...(hasBrushes ? [{ value: 'brushed', text: 'Brushed', subset: { of: 'brushed' } as const }] : []),
  ];
  const shown = subset.of === 'set' ? `set ${subset.name}` : subset.of;
  return (
    <div className="choices">
      {subsets.length > 1 && (
        <Choice
          label="Answers"
          value={shown}
          onChange={(value) => {
            const chosen = subsets.find((option) => option.value === value);
            if (chosen) setSubset(chosen.subset);
          }}
          options={subsets}
        />
      )}
      <Choice
        label="Bins"
        value={String(bins)}
        onChange={(value) => {
          const chosen = binCounts.find((count) => String(count) === value);
          if (chosen) setBins(chosen);
        }}
        options={binCounts.map((count) => ({ value: String(count), text: String(count) }))}
      />
      <Slider
        className="control bandwidth"
        minValue={0.25}
        maxValue={4}
        step={0.05}
        value={bandwidthFactor}
        onChange={(value) => setBandwidthFactor(value as number)}
      >
        <div className="control-label">
          <Label>Bandwidth (× Scott’s rule)</Label>{' '}
          <SliderOutput className="mono">{bandwidthFactor.toFixed(2)}</SliderOutput>
        </div>
        <PlainTrack share={(bandwidthFactor - 0.25) / 3.75} />
      </Slider>
    </div>
  );
}
