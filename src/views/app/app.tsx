import { useCallback } from 'react';
import { takeCalibrationFiles } from '../../state/calibration-files';
import { usePageView } from '../../state/page-view';
import { ExplainView } from '../explain/explain-view';
import { useServices } from '../shared/services-context';
import { useShownRun } from '../shared/use-shown-run';
import { Announcer } from './announcer';
import { Colophon } from './colophon';
import { DropTarget } from './drop-target';
import { Gallery } from './gallery';
import { IdleSignal } from './idle-signal';
import { LazyView } from './lazy-view';
import { Masthead } from './masthead';
import { OpeningImage } from './opening-image';
import { TokenAddress } from './token-address';
import './app.css';

const loadCompare = async () => (await import('../compare/compare-view')).CompareView;
const loadTrust = async () => (await import('../trust/trust-view')).TrustView;

export function App() {
  const shown = useShownRun();
  const [view] = usePageView();
  const { intake, statistics } = useServices();
  const isTable = view === 'trust';
  const takeTables = useCallback((files: readonly File[]) => takeCalibrationFiles(statistics, files), [statistics]);
  return (
    <DropTarget
      invitation={isTable ? 'Drop a table of answers to open it' : 'Drop an image to ask about it'}
      onFiles={isTable ? takeTables : intake.takeFiles}
    >
      <div className="page">
        <Masthead />
        {view === 'explain' && <ExplainView shown={shown} />}
        {view === 'compare' && <LazyView name={view} load={loadCompare} shown={shown} />}
        {view === 'trust' && <LazyView name={view} load={loadTrust} shown={shown} />}
        <Gallery />
        <Colophon header={shown?.run.header} />
      </div>
      <Announcer shown={shown} />
      <IdleSignal />
      <TokenAddress />
      <OpeningImage />
    </DropTarget>
  );
}
