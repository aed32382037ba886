import { useEffect, useState } from 'react';
import { type TrustChoices, useTrustChoices } from '../../state/trust-choices';

const settleMs = 160;

/** Debounced brushes and search, for computations too costly to repeat at every step. */
export type Settled = Pick<TrustChoices, 'brushes' | 'search'>;

/** Does not re-render while a brush moves. */
export function useSettledFilter(): Settled {
  const [settled, setSettled] = useState<Settled>(() => filterOf(useTrustChoices.getState()));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => setSettled((former) => unlessSame(former, filterOf(useTrustChoices.getState())));
    const unsubscribe = useTrustChoices.subscribe((now, before) => {
      if (now.brushes === before.brushes && now.search === before.search) return;
      clearTimeout(timer);
      timer = setTimeout(settle, settleMs);
    });
    settle();
    return () => {
      unsubscribe();
      clearTimeout(timer);
    };
  }, []);
  return settled;
}

const filterOf = ({ brushes, search }: TrustChoices): Settled => ({ brushes, search });

const unlessSame = (former: Settled, next: Settled) =>
  former.brushes === next.brushes && former.search === next.search ? former : next;
