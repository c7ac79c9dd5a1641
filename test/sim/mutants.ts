/**
 * Planted bugs: each replaces a piece of the production source by a wrong one. The simulator must find every one of them
 * within the given number of seeds, or it is the simulator that is broken.
 */
export interface Mutant {
  name: string;
  file: string;
  /** Must occur exactly once, or the mutant is out of date. */
  find: string;
  replace: string;
  /** Runs start here; 1 when absent. Only so that the test need not run all the seeds before the first that finds it. */
  from?: number;
  seedsMax: number;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'no offset check at all (I1)',
    file: 'sink/claims.ts',
    find: '(known === undefined ? claim.initial : known === start)',
    replace: '(known === undefined || known <= claim.next)',
    seedsMax: 40,
  },
  {
    name: 'the ledger is asked before the first attempt only (I1)',
    file: 'sink/table-commit.ts',
    find: 'const verdict = checkClaims(ledger, flush.claims, options.origin);',
    replace:
      'const told = flush.claims.filter(({ initial }) => !initial).map(({ key, start }): [string, number] => [key, start]); const others = [...(ledger?.next ?? [])].filter(([key]) => !flush.claims.some((claim) => claim.key === key)); const verdict = checkClaims(now.attempt === 1 ? ledger : { starts: new Map(), ...options.origin, ...ledger, next: new Map([...others, ...told]) }, flush.claims, options.origin);',
    from: 16,
    seedsMax: 100,
  },
  {
    name: 'no compare-and-swap in the metastore (I1)',
    file: 'catalog/metastore.ts',
    find: 'const from = { location: base.metadataLocation };',
    replace: 'const from = (await this.#pointers.get(base.identifier))!;',
    seedsMax: 40,
  },
  {
    name: 'no copy of the ledger in a property (I2)',
    file: 'sink/table-commit.ts',
    find: "{ action: 'set-properties', updates: { [names.property]: writeLedgerProperty(property) } },",
    replace: '',
    seedsMax: 100,
  },
  {
    name: 'only the current snapshot is asked, not its ancestors',
    file: 'sink/ledger.ts',
    find: 'snapshot = byId.get(parent);\n  }\n  return { snapshot: undefined, broken',
    replace: 'snapshot = undefined;\n  }\n  return { snapshot: undefined, broken',
    from: 51,
    seedsMax: 100,
  },
  {
    name: 'group offsets move before the table (I3)',
    file: 'sink/table-writer.ts',
    find: 'return entry.rowsFilling === 0 && entry.rowsFlushing === 0 ? entry.next : entry.landed;',
    replace: 'return entry.next;',
    seedsMax: 40,
  },
  {
    name: 'files are deleted when fenced after an unknown outcome (I4)',
    file: 'sink/table-commit.ts',
    find: "if (stage.type !== 'landed' && !isAsked)",
    replace: "if (stage.type !== 'landed')",
    from: 71,
    seedsMax: 100,
  },
  {
    name: 'the manifest list is deleted after an unknown outcome (I4)',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'rejected') refused = ",
    replace: 'await ports.store.delete(stage.manifestList).catch(() => {}); refused = ',
    seedsMax: 40,
  },
  {
    name: 'a refusal is believed without a look at the table (I4)',
    file: 'sink/table-commit.ts',
    find: "if (inPlace && inPlace['manifest-list'] !== attempt.manifestList)",
    replace: 'if (inPlace)',
    seedsMax: 100,
  },
  {
    name: 'metadata of a doubtful refusal is deleted at once (I4)',
    file: 'catalog/metastore.ts',
    find: "if (outcome.type === 'rejected' && outcome.doubtful)",
    replace: "if (outcome.type === 'rejected' && outcome.reason === '')",
    seedsMax: 100,
  },
  {
    name: 'an unknown outcome is taken for a success',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'applied') {",
    replace:
      "if (outcome.type === 'unknown') return { type: 'landed', table, ledger: stage.ledger, snapshotId, attempts: attempt };\n      if (outcome.type === 'applied') {",
    seedsMax: 100,
  },
  {
    name: 'rows of lost partitions are kept in the files that fill',
    file: 'sink/assignment.ts',
    find: 'if (keys.some((key) => !writer.isForgettable(key)))',
    replace: 'if (false as boolean)',
    seedsMax: 40,
  },
  {
    name: 'a claim starts at its first record',
    file: 'sink/table-writer.ts',
    find: 'flush.claims.push({ key, start: entry.start,',
    replace: 'flush.claims.push({ key, start: entry.initial ? entry.start : entry.start + 1,',
    seedsMax: 40,
  },
  {
    name: 'a rollback goes unnoticed',
    file: 'sink/ledger.ts',
    find: ": { type: 'rolledBack', lineage, property };",
    replace: ": { type: 'known', ledger: property.ledger };",
    from: 9,
    seedsMax: 100,
  },
  {
    name: 'a replaced table goes unnoticed',
    file: 'sink/ledger.ts',
    find: "return { type: 'rolledBack', lineage: broken ? 'expired' : 'none', property };",
    replace: "return { type: 'known', ledger: property.ledger };",
    from: 34,
    seedsMax: 100,
  },
  {
    name: 'after a rollback partitions without a commit start at the group offset',
    file: 'sink/ledger.ts',
    find: 'new Map([...landed.starts, ...lineage.next])',
    replace: 'new Map(lineage.next)',
    from: 34,
    seedsMax: 100,
  },
  {
    name: 'files are deleted when patience is over (I4)',
    file: 'sink/table-commit.ts',
    find: '      throw new TransientError(\n        `committing',
    replace:
      '      await deleteAll(filesOf(flush, manifest), ports);\n    if (attempt >= options.policy.attemptsMax || spentMs + waitMs > options.policy.totalMs)\n      throw new TransientError(\n        `committing',
    from: 180,
    seedsMax: 300,
  },
  {
    name: 'a flush may land in another table of the name (I9)',
    file: 'sink/table-commit.ts',
    find: 'if (before === after) return now;',
    replace: 'return now;',
    from: 19,
    seedsMax: 100,
  },
  {
    name: 'a topic of the same name is the same topic',
    file: 'sink/claims.ts',
    find: 'return id === undefined || (ledger.clusterId === origin.clusterId && id === origin.topicIds.get(topic));',
    replace: 'return id === undefined || true;',
    from: 14,
    seedsMax: 100,
  },
  {
    name: 'no bound on what is read (I6)',
    file: 'sink/budget.ts',
    find: 'return this.heldBytes === 0 ? Math.max(allowed, fetchBytesMin) : allowed;',
    replace: 'return 1e12;',
    from: 38,
    seedsMax: 100,
  },
  {
    name: 'time runs back in metadata',
    file: 'iceberg/update.ts',
    find: "return Math.max(nowMs, base['last-updated-ms'] + 1);",
    replace: 'return nowMs;',
    seedsMax: 40,
  },
  {
    name: 'snapshots without a parent',
    file: 'sink/table-commit.ts',
    find: "...(head ? { 'parent-snapshot-id': head['snapshot-id'] } : {}),",
    replace: '',
    seedsMax: 40,
  },
  {
    name: 'what was on its way at a revocation is taken',
    file: 'sink/assignment.ts',
    find: 'if (partition) partition.generation = 0;',
    replace: 'if (partition) partition.generation += 0;',
    from: 27,
    seedsMax: 100,
  },
  {
    name: 'what was on its way at a seek is taken',
    file: 'sink/intake.ts',
    find: 'if (partition?.generation !== set.generation)',
    replace: 'if (!partition)',
    from: 27,
    seedsMax: 100,
  },
  {
    name: 'group offsets follow only when partitions move',
    file: 'sink/mirror.ts',
    find: 'if (this.#isBusy || nowMs < this.#dueAtMs || !this.isBehind(offsets)) return;',
    replace: 'if (this.#dueAtMs <= nowMs) return;',
    seedsMax: 40,
  },
  {
    name: 'a table is opened again while its commit is under way',
    file: 'sink/assignment.ts',
    find: 'if (!writer.reopen || writer.flush || writer.broken) return;',
    replace: 'if (!writer.reopen || writer.broken) return;',
    from: 58,
    seedsMax: 300,
  },
  {
    name: 'a revocation does not wait for rows',
    file: 'sink/assignment.ts',
    find: 'if (!settled && nowMs < deadlineMs) return true;',
    replace: '',
    seedsMax: 40,
  },
  {
    name: 'a stop does not wait for commits',
    file: 'sink/sink.ts',
    find: 'if (writer.flush) return true;',
    replace: '',
    seedsMax: 40,
  },
  {
    name: 'files of any age are committed',
    file: 'sink/table-commit.ts',
    find: 'return clock.nowMs() - flush.createdAtMs > pendingAgeMaxMs;',
    replace: 'return clock.nowMs() < 0;',
    seedsMax: 300,
  },
];
