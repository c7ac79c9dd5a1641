/** One comparison: the same topics, into the same kind of table, by each contestant in turn. */
export interface Cell {
  readonly name: string;
  readonly title: string;
  /** How fast records that are there are landed; or how soon records that come steadily are visible. */
  readonly kind: 'landing' | 'latency';
  readonly format: 'avro' | 'json';
  /** Of the record batches in the topics. */
  readonly codec: 'none' | 'zstd';
  /** Topics, each with a table of its own. */
  readonly tables: number;
  /** Of each topic. */
  readonly partitions: number;
  /** Columns of a record: the ten of an order, and further ones of six kinds in turn. */
  readonly columns: number;
  /** Bytes of a value, filled up with text that does not compress in a further column. */
  readonly padTo: number | undefined;
  readonly partitionBy: readonly string[];
  /** Lanes, tasks or parallelism. */
  readonly threads: number;
  /** The part of `--records` that is landed. */
  readonly share: number;
  readonly commitMs: number;
}

const usual: Omit<Cell, 'name' | 'title'> = {
  kind: 'landing',
  format: 'avro',
  codec: 'none',
  tables: 1,
  partitions: 4,
  columns: 10,
  padTo: undefined,
  partitionBy: [],
  threads: 1,
  share: 1,
  commitMs: 10_000,
};

const cell = (name: string, title: string, differs: Partial<Cell>): Cell => ({
  ...usual,
  ...differs,
  name,
  title,
});

/** The same in Avro and in JSON. */
const both = (suffix: string, title: string, differs: Partial<Cell>): Cell[] => [
  cell(`avro${suffix}`, `Avro${title}`, differs),
  cell(`json${suffix}`, `JSON${title}`, { ...differs, format: 'json' }),
];

export const cells: readonly Cell[] = [
  ...both('', '', {}),
  ...both('-day', ', by day', { partitionBy: ['day(created_at)'] }),
  ...both('-bucket', ', bucket(16)', { partitionBy: ['bucket(16, customer_id)'] }),
  ...both('-zstd', ', zstd topic', { codec: 'zstd' }),
  ...both('-1s', ', 1 s commits', { commitMs: 1_000 }),
  ...both('-2threads', ', 2 threads', { threads: 2 }),
  ...both('-100columns', ', 100 columns', { columns: 100, share: 0.15 }),
  ...both('-300columns', ', 300 columns', { columns: 300, share: 0.05 }),
  cell('avro-100B', 'Avro, 100 B', { padTo: 100 }),
  ...both('-1KB', ', 1 KB', { padTo: 1_000, share: 0.25 }),
  ...both('-10KB', ', 10 KB', { padTo: 10_000, share: 0.025 }),
  cell('avro-1partition', 'Avro, 1 partition', { partitions: 1 }),
  cell('avro-100partitions', 'Avro, 100 partitions', { partitions: 100 }),
  cell('avro-1000partitions', 'Avro, 1,000 partitions', { partitions: 1_000 }),
  cell('avro-50tables', 'Avro, 50 tables', { tables: 50, partitions: 1 }),
  cell('latency-1s', 'JSON, 1 s commits', { kind: 'latency', format: 'json', commitMs: 1_000 }),
  cell('latency-5s', 'JSON, 5 s commits', { kind: 'latency', format: 'json', commitMs: 5_000 }),
];

const usualCells = ['avro', 'json', 'avro-day', 'latency-1s'];

/** The cells of these names, in the order of the table; `all` for all of them. @throws for a name that is not known. */
export function chooseCells(names: string | undefined): Cell[] {
  if (names === 'all') return [...cells];
  const wanted = names?.split(',') ?? usualCells;
  const unknown = wanted.filter((name) => !cells.some((known) => known.name === name));
  if (unknown.length > 0)
    throw new Error(
      `choosing cells: there is no ${unknown.join(', ')}; known: all, ${cells.map(({ name }) => name).join(', ')}`,
    );
  return cells.filter(({ name }) => wanted.includes(name));
}
