import type { AurocInterval } from '../../math/statistics/auroc';
import type { Share } from '../../math/statistics/share';
import type { KindsReport, ThresholdReport } from '../../statistics/api';
import { formatCount, formatPercent, formatWhole } from '../../text/number-format';
import { uncountedSentence } from './left-out-words';
import { formatNats, kindsSentence } from './trust-words';

interface FiguresCardProps {
  readonly entropy: ThresholdReport;
  readonly logProb: ThresholdReport | undefined;
  readonly kinds: KindsReport | undefined;
  readonly entropyName: string;
}

/** Figures from the entropy section of the FastRM paper: LLaVA-1.5-7B, on the baseline's maps. */
const paper = {
  shareBelow: '63 %',
  rightBelow: '84 · 83 · 86 %',
  rightAbove: '59 %',
};

/** The threshold and its performance, for entropy and for log-probability, next to the paper's figures. */
export function FiguresCard({ entropy, logProb, kinds, entropyName }: FiguresCardProps) {
  const [a, b] = [entropy.figures, logProb?.figures];
  const why = [entropy.why, logProb?.why].filter((reason) => reason !== undefined);
  const rows: readonly Figure[] = [
    { name: 'Threshold', a: a && `${formatNats(a.threshold)} nats`, b: b && `${formatNats(b.threshold)} nats` },
    { name: 'Predicted right if', a: a?.rightSide, b: b?.rightSide },
    { name: 'Answers below threshold', a: share(a?.shareBelow), b: share(b?.shareBelow), paper: paper.shareBelow },
    {
      name: 'Right among those below',
      a: share(a?.rightBelow),
      b: share(b?.rightBelow),
      paper: paper.rightBelow,
      isTrusted: { a: a?.rightSide === 'below', b: b?.rightSide === 'below' },
    },
    {
      name: 'Right among those above',
      a: share(a?.rightAbove),
      b: share(b?.rightAbove),
      paper: paper.rightAbove,
      isTrusted: { a: a?.rightSide === 'above', b: b?.rightSide === 'above' },
    },
    { name: 'True positive rate', a: share(a?.truePositives), b: share(b?.truePositives) },
    { name: 'False positive rate', a: share(a?.falsePositives), b: share(b?.falsePositives) },
    { name: 'AUROC', a: auroc(entropy.auroc), b: auroc(logProb?.auroc) },
    ...withinRow(kinds, logProb !== undefined),
  ];
  const uncounted = uncountedSentence(entropy, logProb);
  const checked = a?.shareBelow.n;
  return (
    <section className="figures" aria-labelledby="figures-title">
      <h3 id="figures-title" className="chart-title">
        How well the threshold works
      </h3>
      <p className="chart-note">
        {a && checked !== undefined
          ? `The threshold is the mean of the two class means, set on ${formatCount(a.setOn, 'answer', 'answers')} and checked on ${formatWhole(checked)} others. In brackets: 95 % intervals.`
          : why.join(' ')}
      </p>
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col">{entropyName}</th>
            {logProb && <th scope="col">Mean log-probability</th>}
            <th scope="col">
              Paper, entropy
              <br />
              VQA · GQA · POPE
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              <FigureCell text={row.a} isTrusted={row.isTrusted?.a} />
              {logProb && <FigureCell text={row.b} isTrusted={row.isTrusted?.b} />}
              <td className="figures-paper">{row.paper ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {a && why.length > 0 && <p className="chart-note">{why.join(' ')}</p>}
      <p className="chart-note">{kindsSentence(kinds, entropy.auroc)}</p>
      {uncounted !== '' && <p className="chart-note">{uncounted}</p>}
    </section>
  );
}

interface Figure {
  readonly name: string;
  readonly a: FigureText | undefined;
  readonly b: FigureText | undefined;
  readonly paper?: string;
  /** For each column, whether right answers are expected on this row's side of the threshold. */
  readonly isTrusted?: { readonly a: boolean; readonly b: boolean };
}

type FigureText = string | { readonly value: string; readonly interval: string };

function FigureCell({
  text,
  isTrusted = false,
}: {
  readonly text: FigureText | undefined;
  readonly isTrusted?: boolean | undefined;
}) {
  return (
    <td data-trusted={isTrusted || undefined}>
      {text === undefined ? (
        '–'
      ) : typeof text === 'string' ? (
        <b>{text}</b>
      ) : (
        <>
          <b>{text.value}</b> <span className="figures-interval">{text.interval}</span>
        </>
      )}
    </td>
  );
}

function share(of: Share | undefined): FigureText | undefined {
  if (of === undefined || !Number.isFinite(of.value)) return undefined;
  return { value: formatPercent(of.value), interval: `(${(of.low * 100).toFixed(0)}–${(of.high * 100).toFixed(0)})` };
}

function auroc(area: AurocInterval | undefined): FigureText | undefined {
  if (area === undefined) return undefined;
  const { value, low, high } = area;
  return { value: value.toFixed(2), interval: `(${low.toFixed(2)}–${high.toFixed(2)})` };
}

function withinRow(kinds: KindsReport | undefined, hasLogProb: boolean): Figure[] {
  if (kinds === undefined || kinds.by === 'none') return [];
  const [a, b] = kinds.within;
  const name = kinds.by === 'kind' ? 'AUROC within one kind of question' : 'AUROC within one dataset';
  return [{ name, a: auroc(a), b: hasLogProb ? auroc(b) : undefined }];
}
