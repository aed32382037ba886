import { useCallback } from 'react';
import { takeCalibrationFile } from '../../state/calibration-files';
import { usePageView } from '../../state/page-view';
import { ExplainView } from '../explain/explain-view';
import { useServices } from '../shared/services-context';
import { useBench } from '../shared/use-bench';
import { Announcer } from './announcer';
import { Colophon } from './colophon';
import { DropTarget } from './drop-target';
import { Gallery } from './gallery';
import { IdleSignal } from './idle-signal';
import { LazyView } from './lazy-view';
import { Masthead } from './masthead';
import { TokenAddress } from './token-address';
import './app.css';

const loadCompare = async () => (await import('../compare/compare-view')).CompareView;
const loadTrust = async () => (await import('../trust/trust-view')).TrustView;

export function App() {
  const bench = useBench();
  const [view] = usePageView();
  const { intake, statistics } = useServices();
  const isTable = view === 'trust';
  const takeTable = useCallback((file: File) => void takeCalibrationFile(statistics, file), [statistics]);
  return (
    <DropTarget
      invitation={isTable ? 'Drop a table of answers to look at it' : 'Drop an image to ask about it'}
      onFile={isTable ? takeTable : intake.takeFile}
    >
      <div className="page">
        <Masthead />
        {view === 'explain' && <ExplainView bench={bench} />}
        {view === 'compare' && <LazyView name={view} load={loadCompare} bench={bench} />}
        {view === 'trust' && <LazyView name={view} load={loadTrust} bench={bench} />}
        <Gallery />
        <Colophon header={bench?.run.header} />
      </div>
      <Announcer bench={bench} />
      <IdleSignal />
      <TokenAddress />
    </DropTarget>
  );
}
