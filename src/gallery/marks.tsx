import type { ReactNode } from 'react';
import { Axes, Brushes, Categories, ChartFiles, Costs, Curves, Densities, Histograms, Intervals } from './chart-marks';
import { Figures, Heatmaps, Legends, Outlines, Signs, Zooms } from './map-marks';
import type { SampleStatistics } from './sample-answers';

export interface GalleryMark {
  /** Used in the URL and in screenshot file names. */
  readonly name: string;
  readonly about: string;
  /** Paths relative to `src/`. */
  readonly files: readonly string[];
  draw(statistics: SampleStatistics): ReactNode;
}

export const galleryMarks: readonly GalleryMark[] = [
  {
    name: 'heatmap',
    about: 'One value per patch, as colour over the image.',
    files: ['marks/heatmap.ts', 'marks/colour-table.ts'],
    draw: () => <Heatmaps />,
  },
  {
    name: 'outline',
    about: 'The border of the patches that reach a threshold, along patch edges.',
    files: ['math/maps/threshold-outline.ts'],
    draw: () => <Outlines />,
  },
  {
    name: 'signs',
    about: 'The signed difference of two maps, with a sign on each patch where the difference is large.',
    files: ['marks/signs.ts'],
    draw: () => <Signs />,
  },
  {
    name: 'legend',
    about: 'Colours over the axis from 0 to 1, under the number of patches per value on a log-like scale.',
    files: ['marks/legend.ts'],
    draw: () => <Legends />,
  },
  {
    name: 'zoom',
    about: 'Two stages that zoom and pan together.',
    files: ['marks/pan-zoom.ts'],
    draw: () => <Zooms />,
  },
  {
    name: 'figure',
    about: 'A saved map: image, veil over what the model did not see, map, outline, caption.',
    files: ['marks/figure.ts'],
    draw: () => <Figures />,
  },
  {
    name: 'axis',
    about: 'Value and count ticks, the class key, a threshold and an answer.',
    files: ['marks/axis.ts'],
    draw: () => <Axes />,
  },
  {
    name: 'density',
    about: 'Kernel densities of right and wrong answers with their bands, and counts below.',
    files: ['marks/density.ts', 'marks/histogram.ts'],
    draw: (statistics) => <Densities statistics={statistics} />,
  },
  {
    name: 'histogram',
    about:
      'Right answers upwards, wrong ones downwards, with unfiltered counts as an outline; then the values of maps.',
    files: ['marks/histogram.ts'],
    draw: (statistics) => <Histograms statistics={statistics} />,
  },
  {
    name: 'brush',
    about: 'A range selected on an axis with the pointer or keys.',
    files: ['marks/brush.ts'],
    draw: (statistics) => <Brushes statistics={statistics} />,
  },
  {
    name: 'categories',
    about: 'One bar per category; choosing one filters the other charts.',
    files: ['views/trust/category-bars.tsx'],
    draw: (statistics) => <Categories statistics={statistics} />,
  },
  {
    name: 'curve',
    about: 'Lines over a threshold, with gaps where a value is undefined.',
    files: ['marks/curve.ts'],
    draw: () => <Curves />,
  },
  {
    name: 'intervals',
    about: 'Points with their intervals, next to each other over the value of an option.',
    files: ['marks/interval.ts'],
    draw: () => <Intervals />,
  },
  {
    name: 'cost-chart',
    about: 'Time against tokens on log axes; lines join medians, and labels avoid each other.',
    files: ['marks/cost-chart.ts'],
    draw: () => <Costs />,
  },
  {
    name: 'chart-file',
    about: 'A saved chart, with background, title and provenance.',
    files: ['marks/chart-file.ts'],
    draw: () => <ChartFiles />,
  },
];
