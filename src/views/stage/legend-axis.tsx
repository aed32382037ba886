/** A label below a colour bar; `at` is its position as a share of the bar's width. */
export interface LegendTick {
  readonly at: number;
  readonly text: string;
}

/** Quarters from 0 to 1. */
export const unitTicks: readonly LegendTick[] = [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: String(at) }));

export function LegendAxis({ ticks }: { readonly ticks: readonly LegendTick[] }) {
  return (
    <div className="legend-axis mono" aria-hidden="true">
      {ticks.map(({ at, text }) => (
        <span key={at} style={{ left: `${at * 100}%` }}>
          {text}
        </span>
      ))}
    </div>
  );
}
