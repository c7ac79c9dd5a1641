import { FatalError } from '../base/errors.ts';
import { readThrift, type ThriftList, type ThriftStruct, type ThriftValue } from './thrift.ts';

/** What the footer of a Parquet file of any writer says of some of its columns (parquet.thrift `FileMetaData`). */
export interface FileFacts {
  readonly rows: number;
  /** The columns that were asked for, under the names that they have in this file; undefined: it has none. */
  readonly names: readonly (string | undefined)[];
  readonly rowGroups: readonly RowGroupFacts[];
}

export interface RowGroupFacts {
  readonly rows: number;
  /** Statistics of the columns that were asked for; undefined where the writer has told none. */
  readonly columns: readonly (ColumnStatistics | undefined)[];
}

/** Bounds are in the plain encoding of the physical type, which for numbers is that of Iceberg's bounds. */
export interface ColumnStatistics {
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
  readonly nulls: number | undefined;
}

/** A column at the top of the schema: by field id, else (files that have none) by name. */
export interface ColumnRef {
  readonly id: number;
  readonly name: string;
}

/** Reads bytes of the file, from `start` up to, not including, `end`. */
export type ReadRange = (start: number, end: number) => Promise<Uint8Array>;

const magic = 'PAR1';
const tailLength = 8; // footer length and magic
/** Most footers are shorter: one request is enough. */
const firstReadBytes = 32 * 1024;

/** @throws {FatalError} when it is not a Parquet file of this size. */
export async function readFileFacts(
  sizeBytes: number,
  read: ReadRange,
  wanted: readonly ColumnRef[],
  name: string,
): Promise<FileFacts> {
  const doing = `reading the footer of ${name}`;
  let end = await read(Math.max(0, sizeBytes - firstReadBytes), sizeBytes);
  const tail = Buffer.from(end.subarray(-tailLength));
  if (tail.length < tailLength || tail.toString('latin1', 4) !== magic)
    throw new FatalError(`${doing}: it does not end at byte ${sizeBytes} as a Parquet file does`);
  const footerStart = sizeBytes - tailLength - tail.readUInt32LE();
  if (footerStart < magic.length) throw new FatalError(`${doing}: it is longer than the file`);
  const known = sizeBytes - end.length;
  if (footerStart < known) end = Buffer.concat([await read(footerStart, known), end]);
  return parseFacts(end.subarray(footerStart - (sizeBytes - end.length), -tailLength), wanted, doing);
}

/** Field ids of the Thrift structs used here. */
const fileMetadata = { schema: 2, rows: 3, rowGroups: 4 };
const schemaElement = { name: 4, numChildren: 5, fieldId: 9 };
const rowGroup = { columns: 1, rows: 3 };
const columnMetadata = 3;
const statistics = 12;
const bound = { oldMax: 1, oldMin: 2, nulls: 3, max: 5, min: 6 };

function parseFacts(footer: Uint8Array, wanted: readonly ColumnRef[], doing: string): FileFacts {
  try {
    const root = readThrift(footer);
    const leaves = topLeaves(structs(member(root, fileMetadata.schema)));
    const found = wanted.map(
      ({ id, name }) =>
        leaves.find((leaf) => leaf.id === id) ??
        leaves.find((leaf) => leaf.id === undefined && leaf.name === name),
    );
    return {
      rows: Number(member(root, fileMetadata.rows)),
      names: found.map((leaf) => leaf?.name),
      rowGroups: structs(member(root, fileMetadata.rowGroups)).map((group) => {
        const chunks = structs(member(group, rowGroup.columns));
        return {
          rows: Number(member(group, rowGroup.rows)),
          columns: found.map((leaf) => leaf && statisticsOf(chunks[leaf.chunk]!)),
        };
      }),
    };
  } catch (error) {
    throw new FatalError(`${doing}: it is damaged`, { cause: error });
  }
}

interface TopLeaf {
  id: number | undefined;
  name: string;
  /** Its place among the column chunks of a row group. */
  chunk: number;
}

/** The columns at the top of the schema that have no children. */
function topLeaves(elements: readonly ThriftStruct[]): TopLeaf[] {
  const found: TopLeaf[] = [];
  let next = 1; // behind the root
  let chunk = 0;
  const visit = (depth: number): void => {
    const element = elements[next++]!;
    const children = (member(element, schemaElement.numChildren) as number | undefined) ?? 0;
    if (children === 0) {
      const id = member(element, schemaElement.fieldId) as number | undefined;
      const name = Buffer.from(member(element, schemaElement.name) as Uint8Array).toString('utf8');
      if (depth === 1) found.push({ id, name, chunk });
      chunk++;
    }
    for (let i = 0; i < children; i++) visit(depth + 1);
  };
  while (next < elements.length) visit(1);
  return found;
}

function statisticsOf(column: ThriftStruct): ColumnStatistics | undefined {
  const metadata = member(column, columnMetadata) as ThriftStruct | undefined;
  const told = metadata && (member(metadata, statistics) as ThriftStruct | undefined);
  if (!told) return undefined;
  const nulls = member(told, bound.nulls);
  return {
    min: (member(told, bound.min) ?? member(told, bound.oldMin)) as Uint8Array | undefined,
    max: (member(told, bound.max) ?? member(told, bound.oldMax)) as Uint8Array | undefined,
    nulls: nulls === undefined ? undefined : Number(nulls),
  };
}

function member(struct: ThriftStruct, id: number): ThriftValue | undefined {
  return struct.find((field) => field.id === id)?.value;
}

function structs(list: ThriftValue | undefined): ThriftStruct[] {
  return ((list as ThriftList | undefined)?.values ?? []) as ThriftStruct[];
}
