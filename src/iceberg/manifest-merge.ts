import { type Conversion, conversionOf } from './avro-fields.ts';
import { type AvroRecord, AvroWriter, readAvroBlocks, readAvroFile } from './avro-file.ts';
import { entrySchema, manifestHeader } from './manifest.ts';
import { joinSummaries, type ManifestFile } from './manifest-list.ts';
import { type PartitionSpec, partitionTypes } from './partition-spec.ts';
import type { Schema } from './schema.ts';
import type { PrimitiveType } from './types.ts';

/**
 * Manifests that become one, so that planners and writers of an old table need not read thousands. By the rules of
 * Java's `MergeAppend` (`ManifestMergeManager`), but for the manifest of the new files: that is never part of it.
 */

export interface MergeSettings {
  readonly isEnabled: boolean;
  readonly minCount: number;
  readonly targetSizeBytes: number;
}

/** What the table's properties say (`TableProperties` of Java, with its defaults). */
export function mergeSettings(properties: Readonly<Record<string, string>>): MergeSettings {
  const number = (name: string, usual: number): number => {
    const setting = Number(properties[name]);
    return Number.isInteger(setting) && setting > 0 ? setting : usual;
  };
  return {
    isEnabled: properties['commit.manifest-merge.enabled'] !== 'false',
    minCount: number('commit.manifest.min-count-to-merge', 100),
    targetSizeBytes: Math.min(number('commit.manifest.target-size-bytes', 8 * 1024 * 1024), targetBytesMax),
  };
}

/** One commit reads no more manifests than this: a table that was never merged is merged by many. */
const inputsMax = 256;
/** Nor is more held for a merge, whatever the table asks for. */
const targetBytesMax = 32 * 1024 * 1024;
/** To decode what is larger would hold the thread for a second or more, and it is large enough as it is. */
const decodedBytesMax = 1024 * 1024;

/**
 * The manifests that are to become one in this commit, in the order of the list (newest first); none when there is
 * nothing to gain. `added` is the manifest of the new files, `leftAlone` are those that could not be taken over before.
 */
export function planMerge(
  kept: readonly ManifestFile[],
  added: ManifestFile,
  { isEnabled, minCount, targetSizeBytes }: MergeSettings,
  leftAlone: ReadonlySet<string>,
): readonly ManifestFile[] {
  if (!isEnabled) return [];
  // Delete manifests, and what is encrypted, are left as they are.
  const mergeable = kept.filter(
    ({ content, keyMetadata, path }) => content === 0 && keyMetadata === null && !leftAlone.has(path),
  );
  const bins = [...Map.groupBy([added, ...mergeable], ({ specId }) => specId).values()].flatMap((group) =>
    packFromTheEnd(group, targetSizeBytes),
  );
  const plans = bins
    .filter((bin) => !bin.includes(added) || bin.length >= minCount)
    .map((bin) => bin.filter((manifest) => manifest !== added).slice(-inputsMax))
    .filter((inputs) => inputs.length > 1);
  return plans.sort((a, b) => b.length - a.length)[0] ?? [];
}

/** Neighbours together, up to the target size, from the oldest on: what is not full is the newest bin. */
function packFromTheEnd(group: readonly ManifestFile[], targetSizeBytes: number): ManifestFile[][] {
  const bins: ManifestFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const manifest of group.toReversed()) {
    if (bytes + manifest.length > targetSizeBytes) {
      bins.push([]);
      bytes = 0;
    }
    bins.at(-1)!.unshift(manifest);
    bytes += manifest.length;
  }
  return bins;
}

/** What a manifest list says of a merged manifest, whichever snapshot it comes with. */
export type MergedFacts = Pick<
  ManifestFile,
  'specId' | 'minSequenceNumber' | 'existingFiles' | 'existingRows' | 'partitions'
>;

/** A manifest that takes over the live files of others. */
export class ManifestMerger {
  readonly #spec: PartitionSpec;
  readonly #types: readonly PrimitiveType[];
  readonly #schemaText: string;
  readonly #writer: AvroWriter;
  readonly #rows: ManifestFile[] = [];
  readonly #conversions = new Map<string, Conversion>();
  #minSequenceNumber = Number.POSITIVE_INFINITY;
  #files = 0;
  #records = 0;

  /** @throws {FatalError} when a partition value's type is not to be told any more. `sync` is 16 random bytes. */
  constructor(schema: Schema, spec: PartitionSpec, sync: Uint8Array) {
    this.#spec = spec;
    this.#types = partitionTypes(spec, schema);
    this.#schemaText = JSON.stringify(entrySchema(spec, this.#types));
    this.#writer = new AvroWriter(this.#schemaText, manifestHeader(schema, spec), sync);
  }

  /**
   * Takes over a manifest: entries that are live, with all that they say; snapshot and sequence numbers, which they may
   * have from the manifest list, are written out (spec "Sequence Number Inheritance").
   * @throws {Error} when it cannot be taken over, or not whole; nothing of it is in then.
   */
  add(manifest: ManifestFile, bytes: Uint8Array): void {
    const { path, partitions, addedFiles, deletedFiles } = manifest;
    if (this.#spec.fields.length > 0 && partitions?.length !== this.#spec.fields.length)
      throw new Error(`what partitions manifest ${path} has is not said`);
    const isMerged = addedFiles === 0 && deletedFiles === 0;
    const blocks = isMerged ? readAvroBlocks(bytes, this.#schemaText, path) : undefined;
    if (blocks) {
      // What was merged before has all its numbers: it need not even be decompressed.
      checkCount(
        manifest,
        'existing',
        blocks.reduce((sum, { count }) => sum + count, 0),
      );
      for (const block of blocks) this.#writer.copy(block);
      this.#took(manifest, manifest.existingFiles, manifest.existingRows, manifest.minSequenceNumber);
      return;
    }
    if (bytes.length > decodedBytesMax)
      throw new Error(`manifest ${path} is large, and not one that was merged here`);
    const entries = this.#entriesOf(manifest, bytes);
    this.#writer.add(entries);
    const rows = entries.reduce((sum, entry) => sum + Number(dataFileOf(entry)['record_count']), 0);
    const sequenceNumbers = entries.map((entry) => Number(entry['sequence_number']));
    this.#took(
      manifest,
      entries.length,
      rows,
      sequenceNumbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
    );
  }

  /** How many manifests were taken over. */
  get count(): number {
    return this.#rows.length;
  }

  finish(): { bytes: Uint8Array; facts: MergedFacts } {
    const facts = {
      specId: this.#spec.specId,
      minSequenceNumber: Number.isFinite(this.#minSequenceNumber) ? this.#minSequenceNumber : 0,
      existingFiles: this.#files,
      existingRows: this.#records,
      partitions: this.#types.map((type, i) =>
        joinSummaries(
          type,
          this.#rows.map(({ partitions }) => partitions![i]!),
        ),
      ),
    };
    return { bytes: this.#writer.finish(), facts };
  }

  #took(manifest: ManifestFile, files: number, records: number, minSequenceNumber: number): void {
    this.#rows.push(manifest);
    this.#files += files;
    this.#records += records;
    if (files > 0) this.#minSequenceNumber = Math.min(this.#minSequenceNumber, minSequenceNumber);
  }

  /** The live entries of a manifest of any writer. */
  #entriesOf(manifest: ManifestFile, bytes: Uint8Array): AvroRecord[] {
    const { schema, schemaText, records } = readAvroFile(bytes, manifest.path);
    let convert = this.#conversions.get(schemaText);
    if (!convert) {
      const isOurs = schemaText === this.#schemaText;
      convert = isOurs ? (value) => value : conversionOf(schema, JSON.parse(this.#schemaText));
      this.#conversions.set(schemaText, convert);
    }
    const entries = records.map((record) => convert(record) as AvroRecord);
    for (const [number, status] of statuses.entries())
      checkCount(manifest, status, entries.filter((entry) => entry['status'] === number).length);
    return entries
      .filter((entry) => entry['status'] !== deleted)
      .map((entry) => {
        const { sequence_number: sequenceNumber, file_sequence_number: fileSequenceNumber } = entry;
        const isInherited = entry['status'] === added || manifest.sequenceNumber === 0;
        if (!isInherited && (sequenceNumber === null || fileSequenceNumber === null))
          throw new Error(`an existing file of manifest ${manifest.path} has no sequence number`);
        const data = dataFileOf(entry);
        return {
          status: existing,
          snapshot_id: entry['snapshot_id'] ?? manifest.addedSnapshotId,
          sequence_number: sequenceNumber ?? BigInt(manifest.sequenceNumber),
          file_sequence_number: fileSequenceNumber ?? BigInt(manifest.sequenceNumber),
          // Format version 1 has data files only.
          data_file: { ...data, content: data['content'] ?? 0 },
        };
      });
  }
}

const statuses = ['existing', 'added', 'deleted'] as const;
const [existing, added, deleted] = [0, 1, 2];

const dataFileOf = (entry: AvroRecord): AvroRecord => entry['data_file'] as AvroRecord;

function checkCount(manifest: ManifestFile, status: (typeof statuses)[number], count: number): void {
  const told = manifest[`${status}Files`];
  if (count !== told)
    throw new Error(
      `manifest ${manifest.path} has ${count} files (${status}), its manifest list says ${told}`,
    );
}
