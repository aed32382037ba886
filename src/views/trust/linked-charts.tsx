import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import type { Range } from '../../marks/brush';
import { usePageView } from '../../state/page-view';
import { filterCharts, filterQuery, filterRequest, type OpenCalibration } from '../../state/statistics-queries';
import { type TrustChoices, toggledNames, useTrustChoices } from '../../state/trust-choices';
import type { AnswerValue } from '../../statistics/api';
import { useServices } from '../shared/services-context';
import { CategoryBars } from './category-bars';
import { FilterHistogram } from './filter-histogram';
import { SamplesHead, SamplesTable } from './samples-table';
import { valueName } from './trust-words';
import { useSettledFilter } from './use-settled';

const selectBins = (choices: TrustChoices) => choices.bins;
const selectBrushes = (choices: TrustChoices) => choices.brushes;
const selectSearch = (choices: TrustChoices) => choices.search;

const histogramHeightPx = 190;

const titles: Readonly<Record<string, string>> = {
  entropy: 'Entropy',
  logProb: 'Mean log-probability',
  length: 'Answer length',
  correct: 'Verdict',
  set: 'Dataset',
  kind: 'Kind of question',
};

interface LinkedChartsProps {
  readonly calibration: OpenCalibration;
  readonly entropy: AnswerValue;
  readonly provenance: readonly string[];
}

/** Charts of the calibration's answers. Each filters the others and the table below. */
export function LinkedCharts({ calibration, entropy, provenance }: LinkedChartsProps) {
  const { statistics } = useServices();
  const { loaded } = calibration;
  const [, setView] = usePageView();
  const bins = useTrustChoices(selectBins);
  const brushes = useTrustChoices(selectBrushes);
  const search = useTrustChoices(selectSearch);
  const charts = useMemo(() => filterCharts(loaded, entropy, bins), [loaded, entropy, bins]);
  const request = useMemo(() => filterRequest(charts, { brushes, search }), [charts, brushes, search]);
  const { data } = useQuery(filterQuery(statistics, loaded.table, request));
  const filtered = data?.filtered;
  const whole = data?.whole;
  const settled = useSettledFilter();
  const settledRequest = useMemo(() => filterRequest(charts, settled), [charts, settled]);
  const onOpen = useCallback(() => {
    setView('explain');
    window.scrollTo({ top: 0 });
  }, [setView]);
  const { brush } = useTrustChoices.getState();
  const hasBrushes = Object.keys(brushes).length > 0;

  return (
    <>
      <section className="linked" aria-labelledby="linked-title">
        <div className="linked-head">
          <h2 id="linked-title">Right and wrong</h2>
          <p className="linked-key">
            <span className="swatch-right" aria-hidden="true" /> right (upwards){' '}
            <span className="swatch-wrong" aria-hidden="true" /> wrong (downwards, hatched); square-root scale. The
            outline shows all answers.
          </p>
          <button
            type="button"
            className="link-button"
            hidden={!hasBrushes && search === ''}
            onClick={() => useTrustChoices.getState().clearBrushes()}
          >
            Clear all
          </button>
        </div>
        <div className="linked-charts">
          {charts.map((chart) => {
            const counts = filtered?.charts.find(({ id }) => id === chart.id);
            const all = whole?.find(({ id }) => id === chart.id);
            const title = titles[chart.id] ?? chart.id;
            const choice = brushes[chart.id];
            if (counts === undefined || all === undefined)
              return <div key={chart.id} className="linked-room" data-chart={chart.id} />;
            const shared = { title, counts, whole: all, provenance, fileName: `answers-by-${chart.id}` };
            if ('value' in chart && counts.edges && counts.right.length === all.right.length)
              return (
                <div key={chart.id} className="linked-chart" data-chart={chart.id}>
                  <FilterHistogram
                    {...shared}
                    provenance={[valueName(chart.value, loaded.isPooled), ...provenance]}
                    value={chart.value}
                    edges={counts.edges}
                    range={choice && 'range' in choice ? choice.range : undefined}
                    onBrush={(range: Range | undefined) => brush(chart.id, range && { range })}
                    heightPx={histogramHeightPx}
                  />
                </div>
              );
            if (counts.names)
              return (
                <div key={chart.id} className="linked-chart" data-chart={chart.id}>
                  <CategoryBars
                    {...shared}
                    hasShares={chart.id !== 'correct'}
                    names={counts.names}
                    chosen={choice && 'names' in choice ? choice.names : []}
                    onToggle={(name) => brush(chart.id, toggledNames(choice, name))}
                    onClear={() => brush(chart.id, undefined)}
                  />
                </div>
              );
            return <div key={chart.id} className="linked-room" data-chart={chart.id} />;
          })}
        </div>
      </section>
      <section className="samples" aria-labelledby="samples-title">
        <SamplesHead filtered={filtered} rows={loaded.rows} />
        <SamplesTable calibration={calibration} entropy={entropy} filter={settledRequest} onOpen={onOpen} />
      </section>
    </>
  );
}
