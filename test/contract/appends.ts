import type { Clock } from '../../src/base/clock.ts';
import { type Random, uuid } from '../../src/base/random.ts';
import type { Catalog, CommitOutcome, Table } from '../../src/catalog/catalog.ts';
import type { DataFile } from '../../src/iceberg/data-file.ts';
import { writeManifest } from '../../src/iceberg/manifest.ts';
import {
  addedManifest,
  type ManifestFile,
  readManifestList,
  writeManifestList,
} from '../../src/iceberg/manifest-list.ts';
import { branchHead, currentSchema, defaultSpec, mainBranch } from '../../src/iceberg/metadata.ts';
import { partitionPath, partitionTypes } from '../../src/iceberg/partition-spec.ts';
import { appendSummary, newSnapshotId } from '../../src/iceberg/snapshot.ts';
import type { PartitionValue } from '../../src/iceberg/transforms.ts';
import { appendRequirements, nextTimestampMs } from '../../src/iceberg/update.ts';
import { encodingOptions } from '../../src/parquet/encoder.ts';
import { parquetEncoder } from '../../src/parquet/file-writer.ts';
import { columnMetrics } from '../../src/parquet/metrics.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Row } from '../tools/canonical.ts';
import { columnsOf } from '../unit/arrow/rows.ts';

/** Appends to tables with the program's own parts, one after the other and without a sink. */

export interface AppendPorts {
  store: Store;
  clock: Clock;
  random: Random;
}

/** Writes rows as one data file of a partition, `chunkRows` at a time. */
export async function writeDataFile(
  table: Table,
  rows: readonly Row[],
  partition: readonly PartitionValue[],
  ports: AppendPorts,
  chunkRows = rows.length,
): Promise<DataFile> {
  const schema = currentSchema(table.metadata);
  const spec = defaultSpec(table.metadata);
  const { properties, location } = table.metadata;
  const file = parquetEncoder.open(schema, encodingOptions(properties));
  for (let from = 0; from < rows.length; from += chunkRows) {
    const columns = columnsOf(schema, rows.slice(from, from + chunkRows));
    await file.write(columns);
  }
  const encoded = await file.close();
  const folder = partitionPath(spec, partitionTypes(spec, schema), partition);
  const path = [`${location}/data`, ...(folder ? [folder] : []), `${uuid(ports.random)}.parquet`].join('/');
  await ports.store.put(path, encoded.parts);
  return {
    path,
    format: 'PARQUET',
    partition,
    recordCount: rows.length,
    fileSizeBytes: encoded.sizeBytes,
    columnSizes: encoded.columnSizes,
    splitOffsets: encoded.splitOffsets,
    ...columnMetrics(schema, properties, encoded.facts),
  };
}

/** A data file that nobody will read. */
export function imaginaryFile(name: string, recordCount = 1): DataFile {
  return {
    path: `memory://data/${name}.parquet`,
    format: 'PARQUET',
    partition: [],
    recordCount,
    fileSizeBytes: 1_000,
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
    splitOffsets: [4],
  };
}

/** One attempt to append data files to the table as it was loaded. */
export async function tryAppend(
  catalog: Catalog,
  table: Table,
  files: readonly DataFile[],
  ports: AppendPorts,
  summary: Readonly<Record<string, string>> = {},
): Promise<CommitOutcome> {
  const { metadata } = table;
  const schema = currentSchema(metadata);
  const spec = defaultSpec(metadata);
  const types = partitionTypes(spec, schema);
  const head = branchHead(metadata, mainBranch);
  const snapshotId = newSnapshotId(ports.random, metadata);
  const sequenceNumber = metadata['last-sequence-number'] + 1;
  const folder = metadata.properties['write.metadata.path'] ?? `${metadata.location}/metadata`;
  const kept: ManifestFile[] = head
    ? readManifestList(await ports.store.get(head['manifest-list']), head['manifest-list'])
    : [];
  const added: ManifestFile[] = [];
  if (files.length > 0) {
    const bytes = writeManifest(schema, spec, types, files, ports.random.bytes(16));
    const location = { path: `${folder}/${uuid(ports.random)}-m0.avro`, length: bytes.length };
    await ports.store.put(location.path, [bytes]);
    added.push(addedManifest(location, { snapshotId, sequenceNumber }, spec, types, files));
  }
  const list = `${folder}/snap-${snapshotId}-1-${uuid(ports.random)}.avro`;
  const header = { snapshotId, parentSnapshotId: head?.['snapshot-id'] ?? null, sequenceNumber };
  await ports.store.put(list, [writeManifestList(header, [...added, ...kept], ports.random.bytes(16))]);
  return catalog.commit(table, appendRequirements(metadata, mainBranch), [
    {
      action: 'add-snapshot',
      snapshot: {
        'snapshot-id': snapshotId,
        ...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),
        'sequence-number': sequenceNumber,
        'timestamp-ms': nextTimestampMs(metadata, ports.clock.nowMs()),
        'manifest-list': list,
        summary: appendSummary(head, files, { created: added.length, kept: kept.length }, summary),
        'schema-id': metadata['current-schema-id'],
      },
    },
    { action: 'set-snapshot-ref', 'ref-name': mainBranch, type: 'branch', 'snapshot-id': snapshotId },
  ]);
}

/** Appends, loading the table anew after each refusal. */
export async function append(
  catalog: Catalog,
  base: Table,
  files: readonly DataFile[],
  ports: AppendPorts,
  summary: Readonly<Record<string, string>> = {},
): Promise<Table> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const table = (await catalog.load(base.identifier))!;
    const outcome = await tryAppend(catalog, table, files, ports, summary);
    if (outcome.type === 'applied') return outcome.table;
    if (outcome.type === 'unknown') throw new Error(`unknown: ${outcome.reason}`);
  }
  throw new Error('a thousand attempts were refused');
}
