import { type Clock, withDeadline } from '../base/clock.ts';
import { FatalError, messageOf, NotFoundError, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Random, uuid } from '../base/random.ts';
import type { RetryPolicy } from '../base/retry.ts';
import { formatIdentifier, type Table } from '../catalog/catalog.ts';
import type { DataFile } from '../iceberg/data-file.ts';
import { writeManifest } from '../iceberg/manifest.ts';
import {
  addedManifest,
  type ManifestFile,
  readManifestList,
  writeManifestList,
} from '../iceberg/manifest-list.ts';
import { currentSchema, defaultSpec, type Snapshot, type TableMetadata } from '../iceberg/metadata.ts';
import { type PartitionSpec, partitionTypes, specFromJson } from '../iceberg/partition-spec.ts';
import type { Schema } from '../iceberg/schema.ts';
import { putNew } from '../storage/put.ts';
import type { Store } from '../storage/store.ts';

/** Manifests and manifest lists of commits, as they are written and read. */

export interface ManifestPorts {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

/** An answer of store or catalog is waited for this long. */
export const callTimeoutMs = 60_000;
const writePolicy: RetryPolicy = { attemptsMax: 20, totalMs: 5 * 60_000, waitMinMs: 100, waitMaxMs: 5_000 };

/** Closed and uploaded files, with the table as it was when they were written. */
export interface FlushFiles {
  readonly id: string;
  readonly table: Table;
  readonly files: readonly DataFile[];
}

/** An object, and how many bytes it has. */
export interface Written {
  readonly path: string;
  readonly length: number;
}

/** The manifest of the flush's files: once, for all attempts (I7). */
export async function writeFlushManifest(flush: FlushFiles, ports: ManifestPorts): Promise<Written> {
  const { schema, spec } = layoutOf(flush);
  const types = partitionTypes(spec, schema);
  const bytes = writeManifest(schema, spec, types, flush.files, ports.random.bytes(16));
  return putManifest(flush.table.metadata, `${flush.id}-m0`, bytes, ports);
}

/** Writes a manifest under a name that nobody else can have. */
export async function putManifest(
  metadata: TableMetadata,
  name: string,
  bytes: Uint8Array,
  ports: ManifestPorts,
): Promise<Written> {
  const path = `${metadataFolder(metadata)}/${name}.avro`;
  await put(path, bytes, ports);
  return { path, length: bytes.length };
}

/** Schema and spec the files were written with; later ones of the table do not matter to them. */
function layoutOf({ table: { metadata } }: FlushFiles): { schema: Schema; spec: PartitionSpec } {
  return { schema: currentSchema(metadata), spec: defaultSpec(metadata) };
}

/** What the list of a snapshot says of the manifest of its flush. `table` is as it is now. */
export function rowOfFlush(
  flush: FlushFiles,
  manifest: Written,
  snapshot: { snapshotId: bigint; sequenceNumber: number },
  table: Table,
): ManifestFile {
  const { schema, spec } = layoutOf(flush);
  if (!table.metadata['partition-specs'].some((json) => specFromJson(json).specId === spec.specId))
    throw new FatalError(
      `committing table ${formatIdentifier(table.identifier)}: its partition spec ${spec.specId}, which the files were ` +
        'written with, was removed; restart to write with the present one',
    );
  return addedManifest(manifest, snapshot, spec, partitionTypes(spec, schema), flush.files);
}

/** Writes the manifest list of an attempt. @returns its path */
export async function writeAttemptManifestList(
  header: { snapshotId: bigint; parentSnapshotId: bigint | null; sequenceNumber: number },
  manifests: readonly ManifestFile[],
  attempt: number,
  metadata: TableMetadata,
  ports: ManifestPorts,
): Promise<string> {
  const bytes = writeManifestList(header, manifests, ports.random.bytes(16));
  const path = `${metadataFolder(metadata)}/snap-${header.snapshotId}-${attempt}-${uuid(ports.random)}.avro`;
  await put(path, bytes, ports);
  return path;
}

/** The manifests of a snapshot. @throws {TransientError} when it was expired since it was loaded. */
export async function readSnapshotManifests(head: Snapshot, ports: ManifestPorts): Promise<ManifestFile[]> {
  const location = head['manifest-list'];
  const bytes = await withDeadline(ports.clock, callTimeoutMs, `reading ${location}`, () =>
    ports.store.get(location),
  ).catch((error) => {
    // Somebody may have committed and expired this head since it was loaded: the next attempt loads the table anew.
    throw error instanceof NotFoundError
      ? new TransientError(`reading the manifest list of snapshot ${head['snapshot-id']}: it is gone`, {
          cause: error,
        })
      : error;
  });
  return readManifestList(bytes, location);
}

async function put(location: string, bytes: Uint8Array, ports: ManifestPorts): Promise<void> {
  await putNew(ports.store, location, [bytes], ports, writePolicy, (error, attempt, waitMs) =>
    ports.log.warn('writing failed; trying again', { location, attempt, waitMs, error: messageOf(error) }),
  );
}

/** For what certainly nothing names. Orphans left by a failed delete are for the cleaner. */
export async function deleteAll(
  locations: readonly string[],
  { store }: Pick<ManifestPorts, 'store'>,
): Promise<void> {
  for (const location of locations) await store.delete(location).catch(() => {});
}

function metadataFolder(metadata: TableMetadata): string {
  return (metadata.properties['write.metadata.path'] ?? `${metadata.location}/metadata`).replace(/\/+$/, '');
}
