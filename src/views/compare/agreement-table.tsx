import { useDeferredValue, useMemo } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import { agreementOf, agreementOverAnswer, type MeanOf, topShares } from '../../state/map-agreement';
import { areOfSameTokens, type PanelDrawings } from '../../state/panel-map';
import { formatCount, formatValue } from '../../text/number-format';
import type { CompareBench } from './use-compare';
import { formatSigned } from './values';

interface Row {
  readonly name: string;
  readonly here: string;
  readonly mean: string;
  readonly note: string;
}

/** How far the pair agrees: for what is selected, and over the answer. */
export function AgreementTable(props: {
  readonly bench: CompareBench;
  readonly pair: readonly [MethodId, MethodId];
  readonly drawings: PanelDrawings;
}) {
  const { bench, pair, drawings } = props;
  const { run, selected } = bench;
  const [first, second] = pair;
  const { here, mean } = useAgreement(bench, pair, drawings);
  const [a, b] = [methods[first].name, methods[second].name];

  const show = (value: number | undefined, format = formatValue) => (value === undefined ? '–' : format(value));
  const showMean = ({ value, tokens }: MeanOf, format = formatValue) =>
    value === undefined ? '–' : `${format(value)}${tokens < mean.tokens ? ` (${tokens})` : ''}`;
  const rows: readonly Row[] = [
    {
      name: 'Spearman’s ρ',
      here: show(here?.rankCorrelation, formatSigned),
      mean: showMean(mean.rankCorrelation, formatSigned),
      note: 'Do they put the patches into the same order? +1 the same, 0 no relation, −1 reversed.',
    },
    ...topShares.map((share, i) => ({
      name: `IoU of the top ${Math.round(share * 100)} %`,
      here: show(here?.topIou[i]),
      mean: showMean(mean.topIou[i] ?? { value: undefined, tokens: 0 }),
      note:
        i === 0
          ? 'Of the patches among either’s strongest, the share that is among both’s.'
          : `By chance ${formatValue(share / (2 - share))}.`,
    })),
    {
      name: 'Accuracy',
      here: show(here?.accuracy),
      mean: showMean(mean.accuracy),
      note: 'Share of patches that both outline, or neither. High for any two maps with few patches outlined.',
    },
    {
      name: 'F1',
      here: show(here?.f1),
      mean: showMean(mean.f1),
      note: 'Overlap of what is outlined; patches that neither outlines do not count. – where nothing is.',
    },
  ];
  return (
    <section className="agreement" aria-label={`Agreement of ${a} and ${b}`}>
      <h3 className="agreement-title">
        {a} and {b} agree
      </h3>
      <table>
        <thead>
          <tr>
            <th scope="col">
              <span className="visually-hidden">Measure</span>
            </th>
            <th scope="col">{selected.length === 1 ? 'this token' : 'selected'}</th>
            <th scope="col">answer’s mean</th>
            <th scope="col">
              <span className="visually-hidden">What it says</span>
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
      <p className="panel-says">
        The mean is over {mean.tokens} of {formatCount(run.tokens.length, 'token', 'tokens')}: those that have both maps
        {bench.frame.all.length > 1 && ', all frames together'}. In brackets, where a measure is not defined for all of
        them.
      </p>
    </section>
  );
}

function useAgreement(bench: CompareBench, [first, second]: readonly [MethodId, MethodId], drawings: PanelDrawings) {
  const { record, run } = bench;
  // A threshold being dragged comes first.
  const thresholds = useDeferredValue(bench.thresholds);
  const [a, b] = [drawings.get(first), drawings.get(second)];
  const here = useMemo(
    () =>
      a?.kind === 'map' && b?.kind === 'map' && areOfSameTokens(a.map, b.map) ? agreementOf(a.map, b.map) : undefined,
    [a, b],
  );
  const mean = useMemo(
    () =>
      agreementOverAnswer(
        record,
        run.tokens.map(({ index }) => index),
        [first, second],
        thresholds,
      ),
    [record, run, first, second, thresholds],
  );
  return { here, mean };
}
