import { assert } from '../base/assert.ts';
import { leaves, type Schema } from '../iceberg/schema.ts';
import {
  readThrift,
  type ThriftList,
  type ThriftStruct,
  type ThriftValue,
  thriftTypes,
  writeThrift,
} from './thrift.ts';

/**
 * What arrow-rs leaves for us to put right in a Parquet footer, and what Iceberg wants to know from it
 * (apache/parquet-format parquet.thrift, `FileMetaData`; spec appendix A).
 */

const magic = Buffer.from('PAR1');
const tailLength = 8; // footer length and magic

/** Field ids of the Thrift structs used here. */
const fileMetadata = { schema: 2, rowGroups: 4, keyValueMetadata: 5 };
const schemaElement = { type: 1, name: 4, numChildren: 5, convertedType: 6, fieldId: 9, logicalType: 10 };
const rowGroup = { columns: 1 };
const columnChunk = { metaData: 3, columnIndexOffset: 6, columnIndexLength: 7 };
const columnMetaData = {
  pathInSchema: 3,
  totalCompressedSize: 7,
  dataPageOffset: 9,
  dictionaryPageOffset: 11,
  statistics: 12,
};
const logicalTypeUuid = 14;
const convertedTypeMap = 1;

export interface FinishedFile {
  parts: Uint8Array[];
  sizeBytes: number;
  columnSizes: Map<number, number>;
  splitOffsets: number[];
}

/**
 * Replaces the footer of a file written through Arrow: uuid columns get their logical type (Java and Trino read plain
 * bytes otherwise) and lose their statistics, by which Java would pass over row groups that have the row asked for
 * (apache/iceberg#14216); the inner group of maps gets its standard name, and the copy of the Arrow schema goes.
 */
export function finishFile(chunks: readonly Uint8Array[], schema: Schema): FinishedFile {
  const { body, footer } = splitFooter(chunks);
  const root = readThrift(footer);
  const elements = structs(member(root, fileMetadata.schema));
  const uuids = new Set(
    leaves(schema)
      .filter((leaf) => leaf.type.kind === 'uuid')
      .map((leaf) => leaf.id),
  );
  const paths = nameNodes(elements, uuids);
  const keyValues = member(root, fileMetadata.keyValueMetadata) as ThriftList | undefined;
  if (keyValues)
    keyValues.values = keyValues.values.filter(
      (pair) => text(member(pair as ThriftStruct, 1)) !== 'ARROW:schema',
    );

  const columnSizes = new Map<number, number>();
  const splitOffsets: number[] = [];
  for (const group of structs(member(root, fileMetadata.rowGroups))) {
    const columns = structs(member(group, rowGroup.columns));
    assert(columns.length === paths.length, 'a Parquet row group has one chunk per leaf');
    for (const [i, column] of columns.entries()) {
      const metadata = member(column, columnChunk.metaData) as ThriftStruct;
      const { fieldId, path } = paths[i]!;
      set(metadata, columnMetaData.pathInSchema, thriftTypes.list, {
        elementType: thriftTypes.binary,
        values: path.map((name) => Buffer.from(name)),
      });
      if (uuids.has(fieldId)) {
        remove(metadata, columnMetaData.statistics);
        remove(column, columnChunk.columnIndexOffset);
        remove(column, columnChunk.columnIndexLength);
      }
      const size = Number(member(metadata, columnMetaData.totalCompressedSize));
      columnSizes.set(fieldId, (columnSizes.get(fieldId) ?? 0) + size);
      if (i === 0) splitOffsets.push(chunkStart(metadata));
    }
  }
  const rewritten = writeThrift(root);
  const tail = Buffer.alloc(tailLength);
  tail.writeUInt32LE(rewritten.length);
  magic.copy(tail, 4);
  const parts = [...body, rewritten, tail];
  return { parts, sizeBytes: parts.reduce((sum, part) => sum + part.length, 0), columnSizes, splitOffsets };
}

/** Cuts the footer off the pieces of a file; it may span several of them. */
function splitFooter(chunks: readonly Uint8Array[]): { body: Uint8Array[]; footer: Uint8Array } {
  const body = [...chunks];
  let end: Uint8Array = new Uint8Array(0);
  const take = (length: number): void => {
    while (end.length < length) {
      assert(body.length > 0, 'a Parquet file is at least as long as its footer');
      end = Buffer.concat([body.pop()!, end]);
    }
  };
  take(tailLength);
  assert(Buffer.from(end.subarray(-4)).equals(magic), 'a Parquet file ends with its magic');
  const footerLength = Buffer.from(end.subarray(-tailLength)).readUInt32LE();
  take(footerLength + tailLength);
  const start = end.length - tailLength - footerLength;
  if (start > 0) body.push(end.subarray(0, start));
  return { body, footer: end.subarray(start, end.length - tailLength) };
}

/** Names and types the nodes of the schema tree; returns field id and path of each leaf, in file order. */
function nameNodes(
  elements: ThriftStruct[],
  uuids: ReadonlySet<number>,
): { fieldId: number; path: string[] }[] {
  const found: { fieldId: number; path: string[] }[] = [];
  let next = 0;
  const visit = (path: readonly string[], name?: string): void => {
    const element = elements[next++]!;
    if (name !== undefined) set(element, schemaElement.name, thriftTypes.binary, Buffer.from(name));
    const isRoot = next === 1;
    const here = isRoot ? [] : [...path, text(member(element, schemaElement.name))];
    const fieldId = member(element, schemaElement.fieldId) as number;
    if (uuids.has(fieldId)) {
      const uuid: ThriftStruct = [{ id: logicalTypeUuid, type: thriftTypes.struct, value: [] }];
      set(element, schemaElement.logicalType, thriftTypes.struct, uuid);
    }
    const children = (member(element, schemaElement.numChildren) as number | undefined) ?? 0;
    if (children === 0) found.push({ fieldId, path: here });
    const isMap = member(element, schemaElement.convertedType) === convertedTypeMap;
    for (let i = 0; i < children; i++) visit(here, isMap ? 'key_value' : undefined);
  };
  visit([], 'table');
  return found;
}

function chunkStart(metadata: ThriftStruct): number {
  const dataPage = Number(member(metadata, columnMetaData.dataPageOffset));
  const dictionaryPage = Number(member(metadata, columnMetaData.dictionaryPageOffset) ?? 0);
  return dictionaryPage > 0 ? Math.min(dictionaryPage, dataPage) : dataPage;
}

function member(struct: ThriftStruct, id: number): ThriftValue | undefined {
  return struct.find((field) => field.id === id)?.value;
}

function set(struct: ThriftStruct, id: number, type: number, value: ThriftValue): void {
  const existing = struct.find((field) => field.id === id);
  if (existing) {
    existing.value = value;
  } else {
    struct.push({ id, type, value });
    struct.sort((a, b) => a.id - b.id);
  }
}

function remove(struct: ThriftStruct, id: number): void {
  const at = struct.findIndex((field) => field.id === id);
  if (at >= 0) struct.splice(at, 1);
}

function structs(list: ThriftValue | undefined): ThriftStruct[] {
  return (list as ThriftList).values as ThriftStruct[];
}

function text(value: ThriftValue | undefined): string {
  return Buffer.from(value as Uint8Array).toString('utf8');
}
