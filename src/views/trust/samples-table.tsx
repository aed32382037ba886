import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { memo, useMemo, useState } from 'react';
import {
  Button,
  Cell,
  Collection,
  Column,
  Input,
  Label,
  Row,
  SearchField,
  type SortDescriptor,
  Table,
  TableBody,
  TableHeader,
  TableLayout,
  TableLoadMoreItem,
  Virtualizer,
} from 'react-aria-components';
import { minRightScore } from '../../contract/calibration-table';
import { openSample } from '../../state/open-sample';
import { type OpenCalibration, rowsQuery } from '../../state/statistics-queries';
import { meanLogProb, type TrustChoices, useTrustChoices } from '../../state/trust-choices';
import type {
  AnswerValue,
  CalibrationRow,
  Filtered,
  FilterRequest,
  LoadedCalibration,
  RowOrder,
} from '../../statistics/api';
import { formatPercent, formatWhole } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import { useMediaQuery } from '../shared/use-media-query';
import { Thumbnail } from './thumbnail';
import { formatNats } from './trust-words';

interface SamplesTableProps {
  readonly calibration: OpenCalibration;
  readonly entropy: AnswerValue;
  /** Updated when brushing or typing pauses. */
  readonly filter: FilterRequest;
  onOpen(): void;
}

type ColumnId = 'question' | 'answer' | 'set' | 'kind' | 'correct' | 'entropy' | 'logProb';

const selectSearch = (choices: TrustChoices) => choices.search;
const selectOrder = (choices: TrustChoices) => choices.order;

const layouts = {
  wide: { rowHeight: 58, headingHeight: 34, loaderHeight: 34 },
  /** The answer is below its question. */
  narrow: { rowHeight: 92, headingHeight: 34, loaderHeight: 34 },
};

/** The number of matching answers, updated immediately, and the search field. */
export function SamplesHead({ filtered, rows }: { readonly filtered: Filtered | undefined; readonly rows: number }) {
  const search = useTrustChoices(selectSearch);
  return (
    <div className="samples-head">
      <h2 id="samples-title">Answers</h2>
      <p className="samples-count">
        {filtered && (
          <>
            <strong>{formatWhole(filtered.rows)}</strong> of {formatWhole(rows)}
            {filtered.right + filtered.wrong > 0 &&
              `, ${formatPercent(filtered.right / (filtered.right + filtered.wrong))} right`}
          </>
        )}
      </p>
      <SearchField className="search" value={search} onChange={useTrustChoices.getState().setSearch}>
        <Label className="visually-hidden">Search questions and answers</Label>
        <Input className="search-input" placeholder="Search questions and answers" />
        <Button className="search-clear" aria-label="Clear the search">
          ×
        </Button>
      </SearchField>
    </div>
  );
}

/** Answers that match the brushes and the search, updated once both pause. Clicking a row opens it as a run. */
export const SamplesTable = memo(function SamplesTable(props: SamplesTableProps) {
  const { calibration, entropy, filter, onOpen } = props;
  const { loaded } = calibration;
  const services = useServices();
  const queries = useQueryClient();
  const order = useTrustChoices(selectOrder);
  const isWide = useMediaQuery('(min-width: 1000px)');
  const [refusal, setRefusal] = useState<string>();
  const values = useMemo(() => (loaded.hasLogProbs ? [entropy, meanLogProb] : [entropy]), [loaded, entropy]);
  const query = useInfiniteQuery({
    ...rowsQuery(services.statistics, loaded.table, filter, { order, values }),
  });
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.rows) ?? [], [query.data]);
  const descriptor = descriptorOf(order);
  const columns = columnsOf(loaded, isWide);

  const onSort = ({ column, direction }: SortDescriptor) => {
    const descending = direction === 'descending';
    useTrustChoices.getState().setOrder(orderOf(column as ColumnId, entropy, descending));
  };
  const open = async (row: CalibrationRow) => {
    setRefusal(undefined);
    const opening = await openSample({ ...services, queries }, row, calibration);
    if (opening.kind === 'refused') setRefusal(opening.reason);
    if (opening.kind === 'opened') onOpen();
  };

  return (
    <>
      <p className="samples-note" role="status" data-bad={refusal !== undefined || undefined}>
        {refusal ?? `Click a row, or press Enter, to ask its question again and see its maps.`}
      </p>
      <Virtualizer layout={TableLayout} layoutOptions={isWide ? layouts.wide : layouts.narrow}>
        <Table
          className="samples-table"
          aria-labelledby="samples-title"
          {...(descriptor && { sortDescriptor: descriptor })}
          onSortChange={onSort}
          onRowAction={(key) => {
            const row = rows.find(({ row }) => row === key);
            if (row) void open(row);
          }}
        >
          <TableHeader>
            {columns.map(({ id, name, width, isSortable }) => (
              <Column
                key={id}
                id={id}
                className="samples-column"
                isRowHeader={id === 'question'}
                allowsSorting={isSortable}
                {...width}
              >
                {({ sortDirection }) => (
                  <>
                    {name}
                    <span className="samples-arrow" aria-hidden="true">
                      {sortDirection === 'ascending' ? ' ↑' : sortDirection === 'descending' ? ' ↓' : ''}
                    </span>
                  </>
                )}
              </Column>
            ))}
          </TableHeader>
          <TableBody
            renderEmptyState={() => (
              <p className="samples-empty">
                {query.isSuccess ? 'No answers match. Widen a brush or clear the search.' : ''}
              </p>
            )}
          >
            <Collection items={rows} dependencies={[columns.length, calibration, values]}>
              {(row) => (
                <Row id={row.row} className="samples-row" textValue={row.question}>
                  {columns.map(({ id }) => (
                    <Cell key={id} className="samples-cell" data-column={id} data-number={isNumber(id) || undefined}>
                      <CellContent id={id} row={row} calibration={calibration} isWide={isWide} />
                    </Cell>
                  ))}
                </Row>
              )}
            </Collection>
            <TableLoadMoreItem
              className="samples-more"
              isLoading={query.isFetchingNextPage}
              onLoadMore={() => {
                if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
              }}
            >
              More…
            </TableLoadMoreItem>
          </TableBody>
        </Table>
      </Virtualizer>
    </>
  );
});

function CellContent(props: {
  readonly id: ColumnId;
  readonly row: CalibrationRow;
  readonly calibration: OpenCalibration;
  readonly isWide: boolean;
}) {
  const { id, row, calibration, isWide } = props;
  switch (id) {
    case 'question':
      return (
        <span className="sample">
          <Thumbnail calibration={calibration} cell={row.thumbnail} />
          <span className="sample-text">
            <span className="sample-question">{row.question || row.id}</span>
            {!isWide && <AnswerText row={row} />}
          </span>
        </span>
      );
    case 'answer':
      return <AnswerText row={row} />;
    case 'set':
      return row.set;
    case 'kind':
      return row.variety ? `${row.kind}, ${row.variety}` : row.kind;
    case 'correct':
      return <Verdict correct={row.correct} />;
    case 'entropy':
      return formatNats(row.values[0] ?? Number.NaN);
    case 'logProb':
      return formatNats(row.values[1] ?? Number.NaN);
  }
}

/** The answer, followed by a right answer if it is wrong. */
function AnswerText({ row }: { readonly row: CalibrationRow }) {
  const isWrong = row.correct < minRightScore;
  return (
    <span className="sample-answer">
      {row.answer}
      {isWrong && row.reference && <span className="sample-reference"> right: {row.reference}</span>}
    </span>
  );
}

function Verdict({ correct }: { readonly correct: number }) {
  if (Number.isNaN(correct)) return <span className="verdict">unknown</span>;
  const isRight = correct >= minRightScore;
  const isPart = correct > 0 && correct < 1;
  return (
    <span className="verdict" data-class={isRight ? 'right' : 'wrong'}>
      {isRight ? '✓ right' : '✗ wrong'}
      {isPart && ` ${formatPercent(correct)}`}
    </span>
  );
}

interface ColumnFacts {
  readonly id: ColumnId;
  readonly name: string;
  readonly isSortable: boolean;
  readonly width: { readonly width?: number; readonly minWidth?: number };
}

function columnsOf(loaded: LoadedCalibration, isWide: boolean): readonly ColumnFacts[] {
  const entropy: ColumnFacts = { id: 'entropy', name: 'Entropy', isSortable: true, width: { width: isWide ? 92 : 74 } };
  const correct: ColumnFacts = {
    id: 'correct',
    name: 'Verdict',
    isSortable: true,
    width: { width: isWide ? 104 : 78 },
  };
  const question: ColumnFacts = {
    id: 'question',
    name: 'Question',
    isSortable: true,
    width: { minWidth: isWide ? 280 : 150 },
  };
  if (!isWide) return [question, correct, entropy];
  const { sets, kinds, hasLogProbs } = loaded;
  return [
    question,
    { id: 'answer', name: 'Answer', isSortable: true, width: { minWidth: 240 } },
    ...(sets.length > 1 ? [{ id: 'set', name: 'Set', isSortable: true, width: { width: 104 } } as const] : []),
    ...(kinds.length > 1 ? [{ id: 'kind', name: 'Kind', isSortable: true, width: { width: 140 } } as const] : []),
    correct,
    entropy,
    ...(hasLogProbs ? [{ id: 'logProb', name: 'Log-prob.', isSortable: true, width: { width: 96 } } as const] : []),
  ];
}

const isNumber = (id: ColumnId) => id === 'entropy' || id === 'logProb';

function orderOf(column: ColumnId, entropy: AnswerValue, descending: boolean): RowOrder {
  switch (column) {
    case 'entropy':
      return { by: entropy, descending };
    case 'logProb':
      return { by: meanLogProb, descending };
    default:
      return { by: column, descending };
  }
}

function descriptorOf({ by, descending }: RowOrder): SortDescriptor | undefined {
  if (by === 'file') return undefined;
  const column = typeof by === 'string' ? by : by.of;
  return { column, direction: descending ? 'descending' : 'ascending' };
}
