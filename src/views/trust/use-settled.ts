import { useEffect, useState } from 'react';
import { type TrustChoices, useTrustChoices } from '../../state/trust-choices';

const settleMs = 160;

/** Brushes and search once they have rested for a while: what is costly is computed of these, and not of each step on the way. */
export type Settled = Pick<TrustChoices, 'brushes' | 'search'>;

/** Does not draw anew while a brush moves. */
export function useSettledFilter(): Settled {
  const [settled, setSettled] = useState<Settled>(() => filterOf(useTrustChoices.getState()));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => setSettled((former) => unlessSame(former, filterOf(useTrustChoices.getState())));
    const stop = useTrustChoices.subscribe((now, before) => {
      if (now.brushes === before.brushes && now.search === before.search) return;
      clearTimeout(timer);
      timer = setTimeout(settle, settleMs);
    });
    settle();
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
  return settled;
}

const filterOf = ({ brushes, search }: TrustChoices): Settled => ({ brushes, search });

const unlessSame = (former: Settled, next: Settled) =>
  former.brushes === next.brushes && former.search === next.search ? former : next;
