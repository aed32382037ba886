import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { evenEdges } from './histogram';
import { createLinkedFilter, type LinkedColumn } from './linked-filter';

const rows = 2000;
const { unit } = createRandom(8);
const numbers = () => Float64Array.from({ length: rows }, () => (unit() < 0.02 ? Number.NaN : unit()));
const [A, B] = [numbers(), numbers()];
const kind = Uint16Array.from({ length: rows }, () => Math.floor(unit() * 4));
const classOf = Uint8Array.from({ length: rows }, () => Math.floor(unit() * 3));
const edges = evenEdges(0, 1, 10);
const columns: LinkedColumn[] = [
  { values: A, edges },
  { values: B, edges },
  { codes: kind, bins: 4 },
];

interface Choice {
  readonly a?: readonly [number, number];
  readonly b?: readonly [number, number];
  readonly kinds?: readonly number[];
  readonly even?: boolean;
}

/** The reference: filters all rows again for every chart. */
function plainCounts({ a, b, kinds, even }: Choice) {
  const tests = [
    (row: number) => a === undefined || (A[row]! >= a[0] && A[row]! < a[1]),
    (row: number) => b === undefined || (B[row]! >= b[0] && B[row]! < b[1]),
    (row: number) => kinds?.includes(kind[row]!) ?? true,
  ];
  const all = [...classOf.keys()].filter((row) => !even || row % 2 === 0);
  const bin = [
    (row: number) => Math.floor(A[row]! * 10),
    (row: number) => Math.floor(B[row]! * 10),
    (row: number) => kind[row]!,
  ];
  const byColumn = bin.map((binOf, column) => {
    const counts = new Array(column === 2 ? 12 : 30).fill(0);
    for (const row of all) {
      const isKept = tests.every((test, i) => i === column || test(row));
      if (isKept && !Number.isNaN(binOf(row))) counts[binOf(row) * 3 + classOf[row]!] += 1;
    }
    return counts;
  });
  const left = [0, 0, 0];
  for (const row of all) if (tests.every((test) => test(row))) left[classOf[row]!]! += 1;
  return { byColumn, left };
}

const toPlain = ({ byColumn, left }: { byColumn: readonly Uint32Array[]; left: Uint32Array }) => ({
  byColumn: byColumn.map((counts) => [...counts]),
  left: [...left],
});

describe('charts that filter each other', () => {
  it('count the rows that all other filters keep, in whichever order the filters change', () => {
    const filter = createLinkedFilter(columns, classOf, 3);
    expect(toPlain(filter.counts())).toEqual(plainCounts({}));
    filter.keepRange(0, 0.2, 0.6);
    expect(toPlain(filter.counts())).toEqual(plainCounts({ a: [0.2, 0.6] }));
    filter.keepCodes(2, [1, 0, 0, 1]);
    filter.keepRange(1, 0.5, 0.9);
    expect(toPlain(filter.counts())).toEqual(plainCounts({ a: [0.2, 0.6], b: [0.5, 0.9], kinds: [0, 3] }));
    filter.keepRows(classOf.map((_, row) => (row % 2 === 0 ? 1 : 0)));
    filter.keepRange(0, 0.1, 0.3);
    expect(toPlain(filter.counts())).toEqual(plainCounts({ a: [0.1, 0.3], b: [0.5, 0.9], kinds: [0, 3], even: true }));
    filter.keepAll(1);
    filter.keepRows(undefined);
    expect(toPlain(filter.counts())).toEqual(plainCounts({ a: [0.1, 0.3], kinds: [0, 3] }));
  });

  it('tell whether all filters keep a row', () => {
    const filter = createLinkedFilter(columns, classOf, 3);
    filter.keepRange(0, 0.2, 0.6);
    for (let row = 0; row < 50; row++) expect(filter.keeps(row)).toBe(A[row]! >= 0.2 && A[row]! < 0.6);
  });

  it('include the upper edge if the range extends to it', () => {
    const filter = createLinkedFilter([{ values: [0, 0.5, 1], edges: evenEdges(0, 1, 2) }], new Uint8Array(3), 1);
    filter.keepRange(0, 0.5, 1);
    expect([...filter.counts().left]).toEqual([2]);
    filter.keepRange(0, 0, 0.5);
    expect([...filter.counts().left]).toEqual([1]);
  });

  it('are rejected if there are more than a mask has bits', () => {
    expect(() => createLinkedFilter(new Array(32).fill(columns[0]), classOf, 3)).toThrow('32 charts');
  });

  it('count rows in no bin: below, above and without a value', () => {
    const values = [-Infinity, -1, 0, 0.5, 1, 1.5, Infinity, Number.NaN];
    const classes = Uint8Array.of(0, 1, 0, 1, 0, 1, 1, 0);
    const filter = createLinkedFilter(
      [
        { values, edges: evenEdges(0, 1, 2) },
        { codes: [0, 0, 0, 0, 1, 1, 1, 1], bins: 1 },
      ],
      classes,
      2,
    );
    const outside = () =>
      filter.counts().outside.map(({ below, above, missing }) => [below, above, missing].map((of) => [...of]));
    expect(outside()).toEqual([
      [
        [1, 1],
        [0, 2],
        [1, 0],
      ],
      [
        [0, 0],
        [0, 0],
        [2, 2],
      ],
    ]);
    filter.keepCodes(1, [1]);
    expect(outside()[0]).toEqual([
      [1, 1],
      [0, 0],
      [0, 0],
    ]);
    // A range that reaches beyond the edges keeps the infinite values on that side.
    filter.keepAll(1);
    filter.keepRange(0, -Infinity, 0.5);
    expect([...filter.counts().left]).toEqual([2, 1]);
  });
});
