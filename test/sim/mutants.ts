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
      'const verdict = now.attempt === 1 ? checkClaims(ledger, flush.claims, options.origin) : checkClaims({ ...ledger!, next: new Map([...(ledger?.next ?? []), ...flush.claims.map((claim): [string, number] => [claim.key, claim.start])]) }, flush.claims.map((claim) => ({ ...claim, initial: false })), options.origin);',
    seedsMax: 300,
  },
  {
    name: 'no compare-and-swap in the metastore (I1)',
    file: 'catalog/metastore.ts',
    find: 'const from = { location: base.metadataLocation, version: base.version };',
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
    find: "if (stage.type !== 'landed' && !everUnknown)",
    replace: "if (stage.type !== 'landed')",
    seedsMax: 1000,
  },
  {
    name: 'the manifest list is deleted after an unknown outcome (I4)',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'rejected') await",
    replace: 'await',
    seedsMax: 40,
  },
  {
    name: 'an unknown outcome is taken for a success',
    file: 'sink/table-commit.ts',
    find: "if (outcome.type === 'applied')\n",
    replace: "if (outcome.type !== 'rejected')\n",
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
    seedsMax: 100,
  },
  {
    name: 'a replaced table goes unnoticed',
    file: 'sink/ledger.ts',
    find: "return { type: 'rolledBack', lineage: broken ? 'expired' : 'none', property };",
    replace: "return { type: 'known', ledger: property.ledger };",
    seedsMax: 300,
  },
  {
    name: 'after a rollback partitions without a commit start at the group offset',
    file: 'sink/ledger.ts',
    find: 'new Map([...landed.starts, ...lineage.next])',
    replace: 'new Map(lineage.next)',
    seedsMax: 300,
  },
];
