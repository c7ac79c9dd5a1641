import { withDeadline } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { formatIdentifier, type Table } from '../catalog/catalog.ts';
import type { ManifestFile } from '../iceberg/manifest-list.ts';
import { ManifestMerger, type MergedFacts, mergeSettings, planMerge } from '../iceberg/manifest-merge.ts';
import { currentSchema } from '../iceberg/metadata.ts';
import { specFromJson } from '../iceberg/partition-spec.ts';
import { callTimeoutMs, deleteAll, type ManifestPorts, putManifest, type Written } from './manifests.ts';

/** So many manifests are read at a time. */
const readsMax = 16;

interface Merged extends MergedFacts, Written {
  /** Paths of the manifests that it takes over. */
  readonly inputs: ReadonlySet<string>;
}

/** Manifests of a head, some of them replaced by one. */
export interface MergedList {
  readonly manifests: readonly ManifestFile[];
  readonly created: number;
  readonly replaced: number;
}

/**
 * The merge that goes with a flush's commit, if its table wants one: written once, and used by every attempt whose head
 * still has all that it takes over. It helps planners and is never needed: whatever fails, the commit goes on without.
 */
export class ManifestMerge {
  readonly #flushId: string;
  readonly #leftAlone: Set<string>;
  readonly #ports: ManifestPorts;
  #isTried = false;
  #merged: Merged | undefined;
  /** Manifest lists that name it and may be in the table, or come there yet. */
  readonly #namedIn = new Set<string>();

  /** `leftAlone` are manifests that could not be taken over, now and before. */
  constructor(flushId: string, leftAlone: Set<string>, ports: ManifestPorts) {
    this.#flushId = flushId;
    this.#leftAlone = leftAlone;
    this.#ports = ports;
  }

  /** What a snapshot on a head with these manifests lists beside `added`. */
  async of(
    kept: readonly ManifestFile[],
    added: ManifestFile | undefined,
    table: Table,
    snapshot: { snapshotId: bigint; sequenceNumber: number },
  ): Promise<MergedList> {
    const paths = new Set(kept.map(({ path }) => path));
    // Somebody else has merged or rewritten them meanwhile.
    if (this.#merged && ![...this.#merged.inputs].every((path) => paths.has(path))) await this.discard();
    if (!this.#merged && !this.#isTried && added) this.#merged = await this.#merge(kept, added, table);
    const merged = this.#merged;
    if (!merged) return { manifests: kept, created: 0, replaced: 0 };
    const row: ManifestFile = {
      path: merged.path,
      length: merged.length,
      specId: merged.specId,
      content: 0,
      sequenceNumber: snapshot.sequenceNumber,
      minSequenceNumber: merged.minSequenceNumber,
      addedSnapshotId: snapshot.snapshotId,
      addedFiles: 0,
      existingFiles: merged.existingFiles,
      deletedFiles: 0,
      addedRows: 0,
      existingRows: merged.existingRows,
      deletedRows: 0,
      partitions: merged.partitions,
      keyMetadata: null,
    };
    const first = kept.findIndex(({ path }) => merged.inputs.has(path));
    const manifests = kept.flatMap((manifest, i) => {
      if (!merged.inputs.has(manifest.path)) return [manifest];
      return i === first ? [row] : [];
    });
    return { manifests, created: 1, replaced: merged.inputs.size };
  }

  /** A catalog is about to be asked for a snapshot with this manifest list. */
  asked(manifestList: string): void {
    if (this.#merged) this.#namedIn.add(manifestList);
  }

  /** What was asked for with this manifest list is not in the table and never will be. */
  refused(manifestList: string): void {
    this.#namedIn.delete(manifestList);
  }

  /** It will not be used (any more). I4: what an attempt has named stays as long as that may be applied. */
  async discard(): Promise<void> {
    const merged = this.#merged;
    this.#merged = undefined;
    if (merged && this.#namedIn.size === 0) await deleteAll([merged.path], this.#ports);
  }

  async #merge(
    kept: readonly ManifestFile[],
    added: ManifestFile,
    table: Table,
  ): Promise<Merged | undefined> {
    const inputs = planMerge(kept, added, mergeSettings(table.metadata.properties), this.#leftAlone);
    if (inputs.length === 0) return undefined;
    this.#isTried = true;
    const { clock, log } = this.#ports;
    const name = formatIdentifier(table.identifier);
    try {
      return await withDeadline(clock, callTimeoutMs, `merging manifests of table ${name}`, () =>
        this.#write(inputs, table),
      );
    } catch (error) {
      log.warn('manifests were not merged; the commit goes on without', {
        table: name,
        error: messageOf(error),
      });
      return undefined;
    }
  }

  async #write(inputs: readonly ManifestFile[], { metadata }: Table): Promise<Merged | undefined> {
    const { store } = this.#ports;
    const merger = this.#open(inputs, metadata);
    const taken = new Set<string>();
    for (let from = 0; merger && from < inputs.length; from += readsMax) {
      const some = inputs.slice(from, from + readsMax);
      const read = await Promise.all(some.map(({ path }) => store.get(path)));
      for (const [i, manifest] of some.entries()) {
        if (this.#take(merger, manifest, read[i]!)) taken.add(manifest.path);
      }
    }
    if (!merger || taken.size < 2) return undefined;
    const { bytes, facts } = merger.finish();
    return {
      ...facts,
      ...(await putManifest(metadata, `${this.#flushId}-m1`, bytes, this.#ports)),
      inputs: taken,
    };
  }

  #open(inputs: readonly ManifestFile[], metadata: Table['metadata']): ManifestMerger | undefined {
    const spec = metadata['partition-specs']
      .map(specFromJson)
      .find(({ specId }) => specId === inputs[0]!.specId);
    try {
      if (!spec) throw new Error(`partition spec ${inputs[0]!.specId} was removed`);
      return new ManifestMerger(currentSchema(metadata), spec, this.#ports.random.bytes(16));
    } catch (error) {
      for (const { path } of inputs) this.#leaveAlone(path, error);
      return undefined;
    }
  }

  #take(merger: ManifestMerger, manifest: ManifestFile, bytes: Uint8Array): boolean {
    try {
      merger.add(manifest, bytes);
      return true;
    } catch (error) {
      this.#leaveAlone(manifest.path, error);
      return false;
    }
  }

  #leaveAlone(path: string, error: unknown): void {
    this.#leftAlone.add(path);
    this.#ports.log.debug('a manifest is left as it is', { path, reason: messageOf(error) });
  }
}
