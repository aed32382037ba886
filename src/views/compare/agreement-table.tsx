import { useDeferredValue, useMemo } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import { agreementOf, agreementOverAnswer, type MeanOf, topShares } from '../../state/map-agreement';
import { areOfSameTokens, type PanelDrawings } from '../../state/panel-map';
import type { ShownFrame } from '../../state/shown-frame';
import { formatCount, formatValue } from '../../text/number-format';
import { formatSigned } from '../shared/values';
import type { ShownComparison } from './use-shown-comparison';

interface Row {
  readonly name: string;
  readonly here: string;
  readonly mean: string;
  readonly note: string;
}

/** How well the pair's maps agree, for the selection and averaged over the answer. */
export function AgreementTable(props: {
  readonly shown: ShownComparison;
  readonly pair: readonly [MethodId, MethodId];
  readonly drawings: PanelDrawings;
}) {
  const { shown, pair, drawings } = props;
  const { run, selected } = shown;
  const [first, second] = pair;
  const { here, mean } = useAgreement(shown, pair, drawings);
  const [a, b] = [methods[first].name, methods[second].name];

  const show = (value: number | undefined, format = formatValue) => (value === undefined ? '–' : format(value));
  const showMean = ({ value, tokens }: MeanOf, format = formatValue) =>
    value === undefined ? '–' : `${format(value)}${tokens < mean.tokens ? ` (${tokens})` : ''}`;
  const rows: readonly Row[] = [
    {
      name: 'Spearman’s ρ',
      here: show(here?.rankCorrelation, formatSigned),
      mean: showMean(mean.rankCorrelation, formatSigned),
      note: 'Do both maps rank the patches in the same order? +1: same order, 0: unrelated, −1: reversed.',
    },
    ...topShares.map((share, i) => ({
      name: `IoU of the top ${Math.round(share * 100)} %`,
      here: show(here?.topIou[i]),
      mean: showMean(mean.topIou[i] ?? { value: undefined, tokens: 0 }),
      note:
        i === 0
          ? 'Overlap of the strongest patches of both maps (intersection over union).'
          : `Random maps: ${formatValue(share / (2 - share))}.`,
    })),
    {
      name: 'Accuracy',
      here: show(here?.accuracy),
      mean: showMean(mean.accuracy),
      note: 'Share of patches on which both outlines agree. High for any two maps with few outlined patches.',
    },
    {
      name: 'F1',
      here: show(here?.f1),
      mean: showMean(mean.f1),
      note: 'Overlap of the outlined patches; patches outside both outlines do not count. A dash means that nothing is outlined.',
    },
  ];
  return (
    <section className="agreement" aria-label={`Agreement between ${a} and ${b}`}>
      <h3 className="agreement-title">
        How well {a} and {b} agree
      </h3>
      <table>
        <thead>
          <tr>
            <th scope="col">
              <span className="visually-hidden">Measure</span>
            </th>
            <th scope="col">{selected.length === 1 ? 'this token' : 'selected'}</th>
            <th scope="col">mean over the answer</th>
            <th scope="col">
              <span className="visually-hidden">Meaning</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, here: own, mean: over, note }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="mono">{own}</td>
              <td className="mono">{over}</td>
              <td className="agreement-note">{note}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="panel-text">
        The mean covers {mean.tokens} of {formatCount(run.tokens.length, 'token', 'tokens')}, those with both maps
        {togetherNote(shown.frame)}. A number in brackets says for how many of them a measure is defined, if not for
        all.
      </p>
    </section>
  );
}

function togetherNote({ all, images }: ShownFrame): string {
  if (images > 1) return ', all images together';
  return all.length > 1 ? ', all frames together' : '';
}

function useAgreement(shown: ShownComparison, [first, second]: readonly [MethodId, MethodId], drawings: PanelDrawings) {
  const { run } = shown;
  // Deferred, so that dragging a threshold stays responsive.
  const thresholds = useDeferredValue(shown.thresholds);
  const [a, b] = [drawings.get(first), drawings.get(second)];
  const here = useMemo(
    () =>
      a?.kind === 'map' && b?.kind === 'map' && areOfSameTokens(a.map, b.map) ? agreementOf(a.map, b.map) : undefined,
    [a, b],
  );
  const mean = useMemo(
    () =>
      agreementOverAnswer(
        run,
        run.tokens.map(({ index }) => index),
        [first, second],
        thresholds,
      ),
    [run, first, second, thresholds],
  );
  return { here, mean };
}
