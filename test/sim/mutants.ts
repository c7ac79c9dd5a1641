/**
 * Planted bugs: each replaces a piece of the production source by a wrong one. The simulator must find every one of them,
 * or it is the simulator that is broken. How many seeds it took is in README.md (hunt.ts).
 */
export interface Mutant {
  name: string;
  file: string;
  /** Must occur exactly once, or the mutant is out of date. */
  find: string;
  replace: string;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'a lane that has died is told anew only of tables that had rows (I8)',
    file: 'sink/lane-deaths.ts',
    find: "this.#assignment.drop(writer, 'a lane died with its rows');",
    replace: "if (writer.rows > 0) this.#assignment.drop(writer, 'a lane died with its rows');",
  },
  {
    name: 'no offset check at all (I1)',
    file: 'sink/claims.ts',
    find: '(known === undefined ? claim.initial : known === start)',
    replace: '(known === undefined || known <= claim.next)',
  },
  {
    name: 'the ledger is asked before the first attempt only (I1)',
    file: 'sink/table-commit.ts',
    find: 'const verdict = checkClaims(ledger, flush.claims, options.origin);',
    replace:
      'const told = flush.claims.filter(({ initial }) => !initial).map(({ key, start }): [string, number] => [key, start]); const others = [...(ledger?.next ?? [])].filter(([key]) => !flush.claims.some((claim) => claim.key === key)); const verdict = checkClaims(now.attempt === 1 ? ledger : { starts: new Map(), epochs: new Map(), ...options.origin, ...ledger, next: new Map([...others, ...told]) }, flush.claims, options.origin);',
  },
  {
    name: 'no compare-and-swap in the metastore (I1)',
    file: 'catalog/metastore.ts',
    find: 'const from = { location: base.metadataLocation };',
    replace: 'const from = (await this.#pointers.get(base.identifier))!;',
  },
  {
    name: 'Glue is not told the version (I1)',
    file: 'catalog/glue.ts',
    find: 'TableInput, VersionId, SkipArchive: true }',
    replace: 'TableInput, SkipArchive: true }',
  },
  {
    name: 'Glue: the location is not compared (I1)',
    file: 'catalog/glue.ts',
    find: 'if (location !== from.location)',
    replace: 'if (false as boolean)',
  },
  {
    name: 'REST: the branch may have moved (I1, I9)',
    file: 'catalog/rest.ts',
    find: 'await this.#client.post(doing, call, { requirements, updates });',
    replace: 'await this.#client.post(doing, call, { requirements: requirements.slice(0, 1), updates });',
  },
  {
    name: 'Nessie: a first commit names no state of the branch (I1)',
    file: 'catalog/rest.ts',
    find: 'prefix: nessiePrefix(await this.#client.config(), base.metadata),',
    replace: '',
  },
  {
    name: 'the manifest is written anew for each attempt (I7)',
    file: 'sink/table-commit.ts',
    find: '{ flush, manifest, merge, snapshotId, attempt, table, isAsked },',
    replace:
      '{ flush, manifest: attempt > 1 && flush.files.length > 0 ? await writeFlushManifest({ ...flush, id: flush.id + attempt }, ports) : manifest, merge, snapshotId, attempt, table, isAsked },',
  },
  {
    name: 'no copy of the ledger in a property (I2)',
    file: 'sink/table-commit.ts',
    find: "{ action: 'set-properties', updates: { [names.property]: writeLedgerProperty(property) } },",
    replace: '',
  },
  {
    name: 'only the current snapshot is asked, not its ancestors',
    file: 'sink/ledger.ts',
    find: '    oldest = snapshot;\n  }',
    replace: '    oldest = snapshot;\n    break;\n  }',
  },
  {
    name: 'group offsets move before the table (I3)',
    file: 'sink/table-writer.ts',
    find: 'return entry.rowsFilling === 0 && entry.rowsFlushing === 0 ? entry.next : entry.landed;',
    replace: 'return entry.next;',
  },
  {
    name: 'files are deleted when fenced after an unknown outcome (I4)',
    file: 'sink/table-commit.ts',
    find: "if (stage.type !== 'landed' && !isAsked)",
    replace: "if (stage.type !== 'landed')",
  },
  {
    name: 'the manifest list is deleted after an unknown outcome (I4)',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'rejected') refused = ",
    replace: 'await ports.store.delete(stage.manifestList).catch(() => {}); refused = ',
  },
  {
    name: 'a refusal is believed without a look at the table (I4)',
    file: 'sink/table-commit.ts',
    find: "if (inPlace && inPlace['manifest-list'] !== attempt.manifestList)",
    replace: 'if (inPlace)',
  },
  {
    name: 'metadata of a doubtful refusal is deleted at once (I4)',
    file: 'catalog/metastore.ts',
    find: "if (outcome.type === 'rejected' && outcome.doubtful)",
    replace: "if (outcome.type === 'rejected' && outcome.reason === '')",
  },
  {
    name: 'an unknown outcome is taken for a success',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'applied') {",
    replace:
      "if (outcome.type === 'unknown') return { type: 'landed', table, ledger: stage.ledger, snapshotId, attempts: attempt };\n      if (outcome.type === 'applied') {",
  },
  {
    name: 'rows of lost partitions are kept in the files that fill',
    file: 'sink/assignment.ts',
    find: 'if (keys.some((key) => !writer.isForgettable(key)))',
    replace: 'if (false as boolean)',
  },
  {
    name: 'a claim starts at its first record',
    file: 'sink/table-writer.ts',
    find: 'flush.claims.push({ key, start, startEpoch,',
    replace: 'flush.claims.push({ key, start: initial ? start : start + 1, startEpoch,',
  },
  {
    name: 'a log that was cut is not asked about when a table is opened',
    file: 'sink/positions.ts',
    find: 'if (end >= position.offset) {',
    replace: 'if (end >= 0) {',
  },
  {
    name: 'what was read of a log that was cut is kept',
    file: 'sink/intake.ts',
    find: 'if (writer.entries.has(key)) this.#assignment.drop(writer, ',
    replace: 'this.#assignment.resume(key, partitions.get(key)!); void (',
  },
  {
    name: 'the ledger forgets leader epochs',
    file: 'sink/claims.ts',
    find: 'if (claim.epoch === undefined) epochs.delete(key);',
    replace: 'if (claim.epoch !== -1) epochs.delete(key);',
  },
  {
    name: 'a rollback goes unnoticed',
    file: 'sink/ledger.ts',
    find: ": { type: 'rolledBack', lineage, property };",
    replace: ": { type: 'known', ledger: property.ledger };",
  },
  {
    name: 'a replaced table goes unnoticed',
    file: 'sink/ledger.ts',
    find: "return { type: 'rolledBack', lineage: broken ? 'expired' : 'none', property };",
    replace: "return { type: 'known', ledger: property.ledger };",
  },
  {
    name: 'after a rollback partitions without a commit start at the group offset',
    file: 'sink/ledger.ts',
    find: 'new Map([...landed.starts, ...ofTheSameTopics(history.next, history, landed)])',
    replace: 'ofTheSameTopics(history.next, history, landed)',
  },
  {
    name: 'files are deleted when patience is over (I4)',
    file: 'sink/table-commit.ts',
    find: '      throw new TransientError(\n        `committing',
    replace:
      '      await deleteAll(filesOf(flush, manifest), ports);\n    if (attempt >= options.policy.attemptsMax || spentMs + waitMs > options.policy.totalMs)\n      throw new TransientError(\n        `committing',
  },
  {
    name: 'a flush may land in another table of the name (I9)',
    file: 'sink/table-commit.ts',
    find: 'if (before === after) return now;',
    replace: 'return now;',
  },
  {
    name: 'a topic of the same name is the same topic',
    file: 'sink/claims.ts',
    find: 'return id === undefined || (ledger.clusterId === origin.clusterId && id === origin.topicIds.get(topic));',
    replace: 'return id === undefined || true;',
  },
  {
    name: 'no bound on what is read (I6)',
    file: 'sink/budget.ts',
    find: 'return this.heldBytes === 0 ? Math.max(allowed, fetchBytesMin) : allowed;',
    replace: 'return 1e12;',
  },
  {
    name: 'time runs back in metadata',
    file: 'iceberg/update.ts',
    find: "return Math.max(nowMs, base['last-updated-ms'] + 1);",
    replace: 'return nowMs;',
  },
  {
    name: 'snapshots without a parent',
    file: 'sink/table-commit.ts',
    find: "...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),",
    replace: '',
  },
  {
    name: 'what was on its way at a revocation is taken',
    file: 'sink/assignment.ts',
    find: 'if (partition) partition.generation = 0;',
    replace: 'if (partition) partition.generation += 0;',
  },
  {
    name: 'what was on its way at a seek is taken',
    file: 'sink/intake.ts',
    find: 'if (partition?.generation !== set.generation)',
    replace: 'if (!partition)',
  },
  {
    name: 'group offsets follow only when partitions move',
    file: 'sink/mirror.ts',
    find: 'if (this.#isBusy || nowMs < this.#dueAtMs || !this.isBehind(offsets)) return;',
    replace: 'if (this.#dueAtMs <= nowMs) return;',
  },
  {
    name: 'a table is opened again while its commit is under way',
    file: 'sink/assignment.ts',
    find: 'if (!writer.reopen || writer.flush || writer.broken) return;',
    replace: 'if (!writer.reopen || writer.broken) return;',
  },
  {
    name: 'a revocation does not wait for rows',
    file: 'sink/assignment.ts',
    find: 'if (!settled && nowMs < deadlineMs) return true;',
    replace: '',
  },
  {
    name: 'a stop does not wait for commits',
    file: 'sink/sink.ts',
    find: 'if (writer.flush) return true;',
    replace: '',
  },
  {
    name: 'files of any age are committed',
    file: 'sink/table-commit.ts',
    find: 'return clock.nowMs() - flush.createdAtMs > pendingAgeMaxMs;',
    replace: 'return clock.nowMs() < 0;',
  },
  {
    name: 'a merged manifest lacks the files of one',
    file: 'sink/manifest-merge.ts',
    find: 'if (this.#take(merger, manifest, read[i]!))',
    replace: 'if (manifest === inputs[0] || this.#take(merger, manifest, read[i]!))',
  },
  {
    name: 'merged files are of the snapshot that merged them',
    file: 'iceberg/manifest-merge.ts',
    find: 'sequence_number: sequenceNumber ?? BigInt(manifest.sequenceNumber),',
    replace: 'sequence_number: null,',
  },
  {
    name: 'a merged manifest is deleted though an attempt that named it may be applied (I4)',
    file: 'sink/manifest-merge.ts',
    find: 'if (merged && this.#namedIn.size === 0)',
    replace: 'if (merged)',
  },
  {
    name: 'metadata versions are deleted before the commit that puts them out of the log (I4)',
    file: 'catalog/metastore.ts',
    find: 'const outcome = await this.#pointers.swap(',
    replace: 'this.#prune(base.metadata, metadata);\n    const outcome = await this.#pointers.swap(',
  },
  {
    name: 'metadata versions that are still in the log are deleted (I4)',
    file: 'catalog/metastore.ts',
    find: 'if (!kept.has(file)) void',
    replace: "if (!kept.has(file) || file === before['metadata-log'].at(-1)!['metadata-file']) void",
  },
];

/** Bugs that there were, found by the simulator: each is planted again where the world is kept that found it. */
export const found: readonly (Mutant & { readonly kept: string })[] = [
  {
    name: 'a bounded run waits for a commit where a rollback is skipped',
    file: 'sink/caught-up.ts',
    find: 'const ledger = (table && ledgerOf(table, writer.options, pipeline, mainBranch)) ?? emptyLedger;',
    replace:
      "if (table && (await import('./ledger.ts')).resolveLedger(table.metadata, pipeline, mainBranch).type === 'rolledBack') return false; const ledger = (table && ledgerOf(table, writer.options, pipeline, mainBranch)) ?? emptyLedger;",
    kept: 'seed-22.json',
  },
  {
    name: 'a table that is to be made waits for records that retention has taken',
    file: 'sink/table-writer.ts',
    find: 'entry.asked = Math.max(entry.asked, to);',
    replace: '',
    kept: 'seed-10643.json',
  },
];
