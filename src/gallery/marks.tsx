import type { ReactNode } from 'react';
import { Axes, Brushes, Categories, ChartFiles, Costs, Curves, Densities, Histograms } from './chart-marks';
import { Figures, Heatmaps, Legends, Outlines, Signs, Zooms } from './map-marks';
import type { SampleStatistics } from './sample-answers';

export interface GalleryMark {
  /** In the address, and of its screenshots. */
  readonly name: string;
  readonly about: string;
  /** Under `src/`. */
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
    about: 'The signed difference of two maps, with a sign on each patch where they are far apart.',
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
    about: 'A map as it is saved: image, veil over what the model did not see, map, outline, caption.',
    files: ['marks/figure.ts'],
    draw: () => <Figures />,
  },
  {
    name: 'axis',
    about: 'Ticks of values and of counts, the key of the two classes, a threshold and an answer.',
    files: ['marks/axis.ts'],
    draw: () => <Axes />,
  },
  {
    name: 'density',
    about: 'Kernel densities of right and wrong answers with their bands, and their counts underneath.',
    files: ['marks/density.ts', 'marks/histogram.ts'],
    draw: (statistics) => <Densities statistics={statistics} />,
  },
  {
    name: 'histogram',
    about: 'Right answers upwards, wrong ones downwards, the outline without filters; scores of maps.',
    files: ['marks/histogram.ts'],
    draw: (statistics) => <Histograms statistics={statistics} />,
  },
  {
    name: 'brush',
    about: 'A range selected on an axis, by pointer and by keys.',
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
    about: 'Lines over a threshold, with gaps where a value is not defined.',
    files: ['marks/curve.ts'],
    draw: () => <Curves />,
  },
  {
    name: 'cost-chart',
    about: 'Time against tokens on log axes; lines join medians, and names move apart.',
    files: ['marks/cost-chart.ts'],
    draw: () => <Costs />,
  },
  {
    name: 'chart-file',
    about: 'A chart as it is saved: on its own ground, with its title and how it was made.',
    files: ['marks/chart-file.ts'],
    draw: () => <ChartFiles />,
  },
];
