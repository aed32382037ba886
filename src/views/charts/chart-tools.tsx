import { memo, type RefObject } from 'react';
import { Button, Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components';
import { chartAsSvg, svgAsPng } from '../../marks/chart-file';
import { type ChartTable, tableAsCsv } from '../../state/chart-table';
import { saveFile, saveProblem } from '../shared/save-file';
import './chart.css';

/** What is saved is what stands there when it is saved. */
export interface Saved {
  table(): ChartTable;
  readonly provenance: readonly string[];
  readonly drawing: SVGSVGElement | null;
}

interface ChartToolsProps {
  readonly title: string;
  readonly fileName: string;
  readonly saved: RefObject<Saved | undefined>;
  readonly isTable: boolean;
  onTable(isTable: boolean): void;
  /** Why nothing was saved; undefined when the next is being saved. */
  onProblem(problem: string | undefined): void;
}

/** Not drawn again with each step of a brush. */
export const ChartTools = memo(function ChartTools(props: ChartToolsProps) {
  const { title, fileName, saved, isTable, onTable, onProblem } = props;
  const save = async (kind: FileKind) => {
    if (!saved.current) return;
    const { table, provenance, drawing } = saved.current;
    const name = `patchlight-${fileName}.${kind}`;
    if (kind === 'csv') return saveFile(tableAsCsv(table(), [title, ...provenance]), 'text/csv', name);
    if (drawing === null) return;
    const svg = chartAsSvg(document, drawing, { title, notes: provenance });
    if (kind === 'svg') saveFile(svg, 'image/svg+xml', name);
    else saveFile(await svgAsPng(document, svg), 'image/png', name);
  };
  const onSave = (kind: FileKind) => {
    onProblem(undefined);
    save(kind).catch((error) => onProblem(saveProblem(kind === 'csv' ? 'table' : 'picture', error)));
  };
  return (
    <div className="chart-tools">
      <button
        type="button"
        className="chart-tool"
        aria-pressed={isTable}
        aria-label={`${title} as a table`}
        onClick={() => onTable(!isTable)}
      >
        {isTable ? 'Chart' : 'Table'}
      </button>
      <MenuTrigger>
        <Button className="chart-tool" aria-label={`Save ${title}`}>
          Save
        </Button>
        <Popover className="menu-popover" placement="bottom end">
          <Menu
            className="menu"
            onAction={(key) => onSave(key as FileKind)}
            disabledKeys={isTable ? ['svg', 'png'] : []}
          >
            <MenuItem id="svg" className="menu-item">
              SVG, to be edited
            </MenuItem>
            <MenuItem id="png" className="menu-item">
              PNG, for a slide
            </MenuItem>
            <MenuItem id="csv" className="menu-item">
              CSV, its numbers
            </MenuItem>
          </Menu>
        </Popover>
      </MenuTrigger>
    </div>
  );
});

type FileKind = 'svg' | 'png' | 'csv';
