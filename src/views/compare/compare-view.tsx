import type { Bench } from '../use-bench';

export function CompareView({ bench }: { readonly bench: Bench | undefined }) {
  return <main className="compare">{bench?.run.header.question}</main>;
}
