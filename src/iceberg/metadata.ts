import { FatalError, messageOf } from '../base/errors.ts';
import { type Json, parseJson, writeJson } from '../base/json.ts';
import { lastPartitionId, type PartitionSpec, specFromJson, specToJson } from './partition-spec.ts';
import { assignFieldIds, type Schema, schemaFromJson, schemaToJson } from './schema.ts';
import type { Field } from './types.ts';

/**
 * Table metadata, under the spec's own names ("Table Metadata Fields"). Members this program does not know are kept
 * and written back. Snapshot ids are bigint; sequence numbers and times are numbers.
 */
export interface TableMetadata {
  'format-version': number;
  'table-uuid': string;
  location: string;
  'last-sequence-number': number;
  'last-updated-ms': number;
  'last-column-id': number;
  schemas: Json[];
  'current-schema-id': number;
  'partition-specs': Json[];
  'default-spec-id': number;
  'last-partition-id': number;
  'sort-orders': Json[];
  'default-sort-order-id': number;
  properties: Readonly<Record<string, string>>;
  'current-snapshot-id'?: bigint | null;
  refs: Readonly<Record<string, SnapshotRef>>;
  snapshots: readonly Snapshot[];
  'snapshot-log': readonly { 'timestamp-ms': number; 'snapshot-id': bigint }[];
  'metadata-log': readonly { 'timestamp-ms': number; 'metadata-file': string }[];
}

/** Spec "Snapshots". */
export interface Snapshot {
  'snapshot-id': bigint;
  /** Absent for the first snapshot of a lineage: Java's parser fails on null. */
  'parent-snapshot-id'?: bigint;
  'sequence-number': number;
  'timestamp-ms': number;
  'manifest-list': string;
  summary: Readonly<Record<string, string>>;
  'schema-id'?: number;
}

/** Spec "Snapshot References". */
export interface SnapshotRef {
  'snapshot-id': bigint;
  type: 'branch' | 'tag';
  'min-snapshots-to-keep'?: number;
  'max-snapshot-age-ms'?: number;
  'max-ref-age-ms'?: number;
}

export const mainBranch = 'main';

/**
 * Reads metadata.json. `location` is for messages; snapshots that are `known` already are taken from there.
 * @throws {FatalError} when it is not table metadata.
 */
export function parseMetadata(text: string, location: string, known?: TableMetadata): TableMetadata {
  try {
    const passed = known && passKnown(text, known.snapshots);
    if (passed) {
      const metadata = metadataFromJson(passed.rest, location);
      return { ...metadata, snapshots: [...passed.snapshots, ...metadata.snapshots] };
    }
    return metadataFromJson(parseJson(text) as { [key: string]: Json }, location);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`reading ${location}: not JSON: ${messageOf(error)}`);
  }
}

/** As {@link parseMetadata} for JSON that came losslessly from elsewhere, such as a REST catalog's answer. */
export function metadataFromJson(raw: { [key: string]: Json }, location: string): TableMetadata {
  const version = raw['format-version'];
  if (version !== 1 && version !== 2 && version !== 3)
    throw new FatalError(`reading ${location}: format-version ${String(version)} is not known`);
  const id = (value: Json | undefined): bigint => BigInt(value as number | bigint);
  const list = (name: string): { [key: string]: Json }[] =>
    (raw[name] as { [key: string]: Json }[] | undefined) ?? [];
  const snapshots = list('snapshots').map((json) => {
    const snapshot = { ...json, 'snapshot-id': id(json['snapshot-id']) } as unknown as Snapshot;
    if (json['parent-snapshot-id'] == null) delete snapshot['parent-snapshot-id'];
    else snapshot['parent-snapshot-id'] = id(json['parent-snapshot-id']);
    snapshot['sequence-number'] ??= 0; // format version 1
    snapshot.summary ??= {};
    return snapshot;
  });
  const current = raw['current-snapshot-id'];
  const currentId = current == null || id(current) === -1n ? null : id(current);
  const refs: Record<string, SnapshotRef> = {};
  for (const [name, ref] of Object.entries(
    (raw['refs'] as Record<string, { [key: string]: Json }> | null) ?? {},
  ))
    refs[name] = { ...ref, 'snapshot-id': id(ref['snapshot-id']) } as unknown as SnapshotRef;
  if (currentId !== null) refs[mainBranch] ??= { 'snapshot-id': currentId, type: 'branch' };
  return {
    ...raw,
    'last-sequence-number': raw['last-sequence-number'] ?? 0,
    schemas: raw['schemas'] ?? [raw['schema'] as Json],
    'current-schema-id': raw['current-schema-id'] ?? 0,
    'partition-specs': raw['partition-specs'] ?? [{ 'spec-id': 0, fields: raw['partition-spec'] as Json }],
    'default-spec-id': raw['default-spec-id'] ?? 0,
    properties: raw['properties'] ?? {},
    'current-snapshot-id': currentId,
    refs,
    snapshots,
    'snapshot-log': list('snapshot-log').map((entry) => ({
      ...entry,
      'snapshot-id': id(entry['snapshot-id']),
    })),
    'metadata-log': list('metadata-log'),
  } as unknown as TableMetadata;
}

/** The text of metadata.json. No null where Java's parser refuses one, whoever wrote it before. */
export function writeMetadata(metadata: TableMetadata): string {
  const { 'current-snapshot-id': current, snapshots = [], ...rest } = metadata;
  const present = Object.entries(rest).filter(([, member]) => member !== null);
  const text = writeJson({ ...Object.fromEntries(present), 'current-snapshot-id': current ?? -1n });
  return `${text.slice(0, -1)},${snapshotsOpening}${snapshots.map(snapshotText).join(',')}]}`;
}

/**
 * Snapshots never change, and are nearly all of an old table's metadata: each is written once, and what is read again
 * is told by its text.
 */
const snapshotTexts = new WeakMap<Snapshot, string>();

function snapshotText(snapshot: Snapshot): string {
  let text = snapshotTexts.get(snapshot);
  if (text === undefined) {
    text = writeJson(snapshot);
    snapshotTexts.set(snapshot, text);
  }
  return text;
}

const snapshotsOpening = '"snapshots":[';

/**
 * Passes over the snapshots at the beginning of the list that are known, as they were written here.
 * @returns them and the rest as JSON; undefined when there are none, or the list is not where it seems to be.
 */
function passKnown(
  text: string,
  known: readonly Snapshot[],
): { snapshots: readonly Snapshot[]; rest: { [key: string]: Json } } | undefined {
  // Inside of a string its quotes would be escaped.
  const start = text.lastIndexOf(snapshotsOpening) + snapshotsOpening.length;
  const isAt = (snapshot: Snapshot | undefined, at: number): boolean => {
    const written = snapshot && snapshotTexts.get(snapshot);
    return written !== undefined && text.startsWith(written, at);
  };
  // Those before may have expired.
  const first = known.findIndex((snapshot) => isAt(snapshot, start));
  if (first < 0) return undefined;
  let next = first;
  let at = start;
  for (; isAt(known[next], at); next++) {
    at += snapshotTexts.get(known[next]!)!.length;
    if (text[at] !== ',') {
      next++;
      break;
    }
    at++;
  }
  // A number in their place shows whether this was the table's own list.
  const separator = text[at] === ']' ? '' : ',';
  const rest = parseJson(`${text.slice(0, start)}0${separator}${text.slice(at)}`) as { [key: string]: Json };
  const [mark, ...others] = (rest['snapshots'] ?? []) as Json[];
  return mark === 0
    ? { snapshots: known.slice(first, next), rest: { ...rest, snapshots: others } }
    : undefined;
}

/** The schema new rows are written with. */
export function currentSchema(metadata: TableMetadata): Schema {
  const json = metadata.schemas.find(
    (schema) => ((schema as { [key: string]: Json })['schema-id'] ?? 0) === metadata['current-schema-id'],
  );
  if (!json)
    throw new FatalError(
      `table ${metadata.location}: its current schema ${metadata['current-schema-id']} is missing`,
    );
  return schemaFromJson(json);
}

/** The partition spec new files are written with. */
export function defaultSpec(metadata: TableMetadata): PartitionSpec {
  const spec = metadata['partition-specs']
    .map(specFromJson)
    .find((s) => s.specId === metadata['default-spec-id']);
  if (!spec)
    throw new FatalError(
      `table ${metadata.location}: its default spec ${metadata['default-spec-id']} is missing`,
    );
  return spec;
}

/** The newest snapshot of a branch, undefined when it has none. */
export function branchHead(metadata: TableMetadata, branch: string): Snapshot | undefined {
  const ref = metadata.refs[branch];
  return ref && metadata.snapshots.findLast((snapshot) => snapshot['snapshot-id'] === ref['snapshot-id']);
}

/** A snapshot and those that it came from, newest first, as far back as they are listed. */
export function* lineageOf(metadata: TableMetadata, head: Snapshot | undefined): Generator<Snapshot> {
  const { snapshots } = metadata;
  let at = head ? snapshots.lastIndexOf(head) : -1;
  let byId: Map<bigint, Snapshot> | undefined;
  let snapshot = head;
  // No history is longer than the list: a circle ends the walk too.
  for (let steps = 0; snapshot && steps <= snapshots.length; steps++) {
    yield snapshot;
    const parent = snapshot['parent-snapshot-id'];
    if (parent === undefined) return;
    // Nearly always it is the one before.
    if (!byId && snapshots[at - 1]?.['snapshot-id'] === parent) snapshot = snapshots[--at];
    else {
      byId ??= new Map(snapshots.map((each) => [each['snapshot-id'], each]));
      snapshot = byId.get(parent);
    }
  }
}

export interface NewTable {
  uuid: string;
  location: string;
  /** Field ids are given afresh. */
  fields: readonly Field[];
  spec: (schema: Schema) => PartitionSpec;
  properties: Readonly<Record<string, string>>;
  nowMs: number;
}

/** The metadata of a new, empty table of format version 2 (Java `TableMetadata.newTableMetadata`). */
export function newTableMetadata(table: NewTable): TableMetadata {
  const { fields, lastColumnId } = assignFieldIds(table.fields);
  const schema: Schema = { schemaId: 0, fields };
  const spec = table.spec(schema);
  return {
    'format-version': 2,
    'table-uuid': table.uuid,
    location: table.location.replace(/\/+$/, ''),
    'last-sequence-number': 0,
    'last-updated-ms': table.nowMs,
    'last-column-id': lastColumnId,
    schemas: [schemaToJson(schema)],
    'current-schema-id': 0,
    'partition-specs': [specToJson(spec)],
    'default-spec-id': spec.specId,
    'last-partition-id': lastPartitionId([spec]),
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    'default-sort-order-id': 0,
    properties: { ...createdTableProperties, ...table.properties },
    'current-snapshot-id': null,
    refs: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    statistics: [],
    'partition-statistics': [],
  } as TableMetadata;
}

/** What Java writes into every table it creates since 1.4 (`TableProperties.PARQUET_COMPRESSION`). */
const createdTableProperties = { 'write.parquet.compression-codec': 'zstd' };
