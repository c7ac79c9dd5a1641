/** The canonical form of a row or a value, as the Java and Python tools answer it. */
export type Canonical = null | boolean | string | Canonical[] | { [field: string]: Canonical };
export type Row = Record<string, Canonical>;

/** Rows have no order of their own: sorted by their text two tables can be compared. */
export function sorted(rows: readonly Row[]): Row[] {
  return rows
    .map((row) => ({ row, text: JSON.stringify(row) }))
    .sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ row }) => row);
}
