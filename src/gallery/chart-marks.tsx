import { scaleLinear, scaleSqrt } from 'd3-scale';
import { useEffect, useRef, useState } from 'react';
import { exampleAblations } from '../contract/ablation-report.example';
import type { HeadReport } from '../contract/head-report';
import { countTicks } from '../marks/axis';
import type { Range } from '../marks/brush';
import { chartAsSvg } from '../marks/chart-file';
import { BottomAxis, ClassKey, ClassPattern, LeftAxis, UprightMark } from '../views/charts/chart-parts';
import { CostChart } from '../views/compare/cost-chart';
import { AblationChart } from '../views/trust/ablation-chart';
import { CategoryBars } from '../views/trust/category-bars';
import { DensityChart } from '../views/trust/density-chart';
import { FilterHistogram } from '../views/trust/filter-histogram';
import { HeadCurve } from '../views/trust/head-curve';
import { ScoreHistogram } from '../views/trust/score-histogram';
import { entropy, length, type SampleStatistics } from './sample-answers';
import { map, otherMap } from './sample-map';
import '../views/trust/trust.css';

const provenance = ['Patchlight, gallery of marks'];

/** Axes with the class key and vertical marks, but no data. */
export function Axes() {
  const widthPx = 480;
  const heightPx = 190;
  const margins = { top: 34, right: 12, bottom: 40, left: 44 };
  const x = scaleLinear([4, 6.5], [margins.left, widthPx - margins.right]);
  const y = scaleSqrt([0, 24_000], [heightPx - margins.bottom, margins.top]);
  const plot = { widthPx, heightPx, margins };
  return (
    <div className="chart-plot">
      <svg width={widthPx} height={heightPx} role="img" aria-label="An axis of values and one of counts">
        <ClassPattern id="gallery-axes" />
        <ClassKey xPx={margins.left} yPx={10} patternId="gallery-axes" right="312 right" wrong="88 wrong" />
        <LeftAxis ticks={countTicks(y, 34)} margins={margins} widthPx={widthPx} />
        <BottomAxis x={x} {...plot} label="nats" />
        <UprightMark kind="threshold" atPx={x(5.1)} label="threshold 5.10" {...plot} side="left" />
        <UprightMark kind="answer" atPx={x(5.62)} label="this answer 5.62" labelYPx={50} {...plot} />
      </svg>
    </div>
  );
}

interface StatisticsProps {
  readonly statistics: SampleStatistics;
}

export function Densities({ statistics }: StatisticsProps) {
  return (
    <div className="gallery-stack">
      <DensityChart
        title="Right and wrong answers"
        value={entropy}
        distribution={statistics.distribution}
        threshold={5.25}
        answer={5.6}
        heightPx={260}
        provenance={provenance}
        fileName="density"
      />
      <DensityChart
        title="Too few for bands"
        value={entropy}
        distribution={statistics.fewAnswers}
        threshold={undefined}
        heightPx={170}
        provenance={provenance}
        fileName="few"
      />
    </div>
  );
}

export function Histograms({ statistics }: StatisticsProps) {
  const { counts, whole } = statistics.lengths;
  return (
    <div className="gallery-stack">
      <FilterHistogram
        title="Answer length, of two kinds of question"
        value={length}
        edges={counts.edges!}
        counts={counts}
        whole={whole}
        range={undefined}
        onBrush={() => {}}
        heightPx={180}
        provenance={provenance}
        fileName="length"
      />
      <ScoreHistogram maps={[map, otherMap]} threshold={0.4} />
    </div>
  );
}

/** An interactive brush: drag over the plot, or use the arrow keys on a handle. */
export function Brushes({ statistics }: StatisticsProps) {
  const [range, setRange] = useState<Range | undefined>([4.9, 5.5]);
  const { counts, whole } = statistics.entropies;
  return (
    <FilterHistogram
      title="Entropy"
      value={entropy}
      edges={counts.edges!}
      counts={counts}
      whole={whole}
      range={range}
      onBrush={setRange}
      heightPx={190}
      provenance={provenance}
      fileName="brush"
    />
  );
}

export function Categories({ statistics }: StatisticsProps) {
  const { counts, whole } = statistics.kinds;
  const [chosen, setChosen] = useState<readonly string[]>(['count']);
  return (
    <CategoryBars
      title="Kind of question"
      names={counts.names!}
      counts={counts}
      whole={whole}
      chosen={chosen}
      onToggle={(name) => setChosen([name])}
      onClear={() => setChosen([])}
      provenance={provenance}
      fileName="kinds"
    />
  );
}

const thresholds = Array.from({ length: 101 }, (_, i) => i / 100);
/** As the threshold rises, precision rises until no patch reaches the threshold; recall falls. */
const precision = thresholds.map((t) => (t > 0.94 ? null : 0.35 + 0.6 * t));
const recall = thresholds.map((t) => (1 - t) ** 0.8);
const report: HeadReport = {
  title: 'Fixed curves',
  command: 'npm run dev',
  measuredOn: 'nothing',
  figures: [],
  curve: {
    threshold: thresholds,
    precision,
    recall,
    accuracy: thresholds.map((t) => 0.62 + 0.33 * Math.sqrt(t)),
    f1: thresholds.map((_, i) => {
      const [p, r] = [precision[i]!, recall[i]!];
      return p === null ? null : (2 * p * r) / (p + r);
    }),
  },
};

export function Curves() {
  return <HeadCurve report={report} model="fixed values" own={0.42} />;
}

export function Intervals() {
  return <AblationChart ablation={exampleAblations.ablations[0]!} report={exampleAblations} />;
}

const costs = [
  {
    name: 'FastRM',
    points: [1, 4, 4, 12, 30].map((tokens, i) => ({ tokens, ms: 0.4 + 0.06 * tokens + 0.1 * (i % 2) })),
  },
  { name: 'Exact Chefer', points: [1, 2, 4, 12, 30].map((tokens) => ({ tokens, ms: 160 + 95 * tokens })) },
  { name: 'GradCAM', points: [1, 4, 12].map((tokens) => ({ tokens, ms: 30 + 9 * tokens })) },
  { name: 'Rollout', points: [{ tokens: 6, ms: 9 }] },
  { name: 'Not measured', points: [] },
];

export function Costs() {
  return <CostChart series={costs} />;
}

/** The SVG that "Save" writes, rendered without the page's style sheet. */
export function ChartFiles() {
  const home = useRef<HTMLDivElement>(null);
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const drawing = home.current?.querySelector('svg');
    if (!drawing) return;
    const svg = chartAsSvg(document, drawing, { title: 'Values and counts', notes: ['Fixed values', ...provenance] });
    setUrl(`data:image/svg+xml,${encodeURIComponent(svg)}`);
  }, []);
  return url === undefined ? (
    <div ref={home}>
      <Axes />
    </div>
  ) : (
    <img className="gallery-file" src={url} alt="Values and counts" />
  );
}
