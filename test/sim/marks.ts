/**
 * Branches of the core that are there for what goes wrong. Each must be taken in some world, or the simulator does not try
 * it (sim.test.ts); how often each is taken is in README.md (`node test/sim/run.ts --seeds 1000 --marks`).
 */
interface Mark {
  readonly file: string;
  readonly name: string;
  /** Occurs once in the file. The branch is where ¦ stands, or else where it begins. */
  readonly find: string;
}

const mark = (file: string, name: string, find: string): Mark => ({ file, name, find });

const sink = [
  mark(
    'sink/table-commit.ts',
    'a flush whose answer was lost is found in the table',
    "ledger: resolution.ledger, snapshotId: landed['snapshot-id'] };",
  ),
  mark('sink/table-commit.ts', 'fenced: the ledger has moved', 'return verdict;'),
  mark(
    'sink/table-commit.ts',
    'fenced: the table has gone back, and is taken up where it is',
    "return { type: 'fenced', keys: verdict.keys };",
  ),
  mark('sink/table-commit.ts', 'the files are too old to be committed', "¦{ type: 'expired' } : prepared"),
  mark(
    'sink/table-commit.ts',
    'files that no attempt has named are deleted',
    '¦await deleteAll(filesOf(flush, manifest), ports);',
  ),
  mark('sink/table-commit.ts', 'a refused attempt is remembered', '¦refused = [...refused, stage]'),
  mark(
    'sink/table-commit.ts',
    'a refused attempt: another stands in its place',
    '¦await deleteAll([attempt.manifestList], ports);',
  ),
  mark('sink/table-commit.ts', 'a refused attempt: the table does not tell yet', '¦open.push(attempt)'),
  mark(
    'sink/table-commit.ts',
    'no answer within the deadline: unknown',
    "return { type: 'unknown', reason: messageOf(error) };",
  ),
  mark('sink/table-commit.ts', 'patience is over', 'gave up after'),
  mark(
    'sink/manifest-merge.ts',
    'manifests are merged',
    '¦return { manifests, created: 1, replaced: merged.inputs.size };',
  ),
  mark(
    'sink/manifest-merge.ts',
    'others have rewritten what a merge takes over',
    'every((path) => paths.has(path))) ¦await',
  ),
  mark('sink/manifest-merge.ts', 'a merge that nobody names is deleted', '¦await deleteAll([merged.path]'),
  mark(
    'sink/manifest-merge.ts',
    'a merge fails, and the commit goes on',
    "log.warn('manifests were not merged",
  ),
  mark(
    'sink/manifests.ts',
    'the head was expired while its manifests were read',
    '¦new TransientError(`reading the manifest list',
  ),
  mark('sink/table-commit.ts', 'the table was dropped', 'it was dropped; what has not landed'),
  mark('sink/table-commit.ts', 'the table was dropped and made anew', 'it was dropped and made anew'),
  mark(
    'sink/claims.ts',
    'a claim of a topic that is gone is turned away',
    'if (isOfAnotherTopic(base, origin, claim)) {\n      ¦fenced.push(key);',
  ),
  mark('sink/claims.ts', 'the ledger of a topic that is gone is forgotten', '¦forget(offsets, topic);'),
  mark('sink/claims.ts', 'the table is behind a claim', '¦behind.push(key)'),
  mark('sink/ledger.ts', 'the table was rolled back', "¦{ type: 'rolledBack', lineage, property };"),
  mark(
    'sink/ledger.ts',
    'the table was replaced, or all that could tell has expired',
    "return { type: 'rolledBack', lineage: broken",
  ),
  mark(
    'sink/ledger.ts',
    'our snapshots have expired: the property counts',
    "return { type: 'known', ledger: property.ledger };",
  ),
  mark('sink/ledger.ts', 'a rollback is skipped', 'return property.ledger;'),
  mark('sink/ledger.ts', 'what was rolled back is landed again', 'return replayFrom('),
  mark('sink/ledger.ts', 'a rollback halts the pipeline', 'To land the missing offsets again set'),
  mark(
    'sink/positions.ts',
    'a topic was made anew: it is read from its start',
    'recreated.push(topicPartition);',
  ),
  mark(
    'sink/positions.ts',
    'the log was cut below what has landed: the pipeline halts',
    'throw wasTruncated(table, key, end',
  ),
  mark(
    'sink/positions.ts',
    'the log was cut below what has landed: the rows are kept',
    'positions.set(key, { ...position, truncatedAt: end });',
  ),
  mark(
    'sink/intake.ts',
    'the log was cut below what was read',
    "ports.log.error('the log was cut below what was read'",
  ),
  mark(
    'sink/intake.ts',
    'the log ends before what has landed: it is waited for',
    "warn('the log ends before what has landed",
  ),
  mark('sink/positions.ts', 'a topic was made anew: the pipeline halts', 'throw topicIsAnother('),
  mark(
    'sink/positions.ts',
    'another worker has pinned its start meanwhile',
    '¦for (const key of (await source.committedOffsets(others)).keys())',
  ),
  mark('sink/positions.ts', 'a start could not be pinned', "log.warn('the start position could not be kept"),
  mark('sink/positions.ts', 'the catalog is asked again', 'failed; trying again`, {'),
  mark('sink/assignment.ts', 'assigned again while their commit is under way', '¦writer.reopen = true;'),
  mark(
    'sink/assignment.ts',
    'a table was opened for what is dropped by now',
    'if (writer.generation !== generation || writer.broken) ¦return;',
  ),
  mark(
    'sink/assignment.ts',
    'another worker has made the table meanwhile',
    "return this.drop(writer, 'it was made meanwhile');",
  ),
  mark(
    'sink/assignment.ts',
    'a position has come for what is no longer ours',
    'writer.opening.get(key) !== topicPartition) ¦continue;',
  ),
  mark(
    'sink/assignment.ts',
    'a revocation waits for rows',
    'if (!settled && nowMs < deadlineMs) ¦return true;',
  ),
  mark(
    'sink/assignment.ts',
    'a revocation waits no longer',
    "ports.log.warn('partitions are given up before",
  ),
  mark('sink/assignment.ts', 'partitions are lost', "ports.log.warn('partitions lost"),
  mark(
    'sink/assignment.ts',
    'files with rows of what has moved are dropped',
    "¦this.drop(writer, 'partitions moved before",
  ),
  mark('sink/landing.ts', 'a flush is dropped while lanes close its files', 'writer.laneAbandoned(lane);'),
  mark('sink/lane-deaths.ts', 'a lane died', 'ports.lanes[lane]!.restart();'),
  mark('sink/landing.ts', 'a lane died that was to close files', '¦this.#abandon(writer, lane, [])'),
  mark(
    'sink/landing.ts',
    'a look finds the ledger elsewhere',
    "this.#context.ports.log.warn('the ledger is not where",
  ),
  mark('sink/landing.ts', 'a flush was not committed: start over', '¦totals.refused(landing);'),
  mark(
    'sink/intake.ts',
    'a record set from before a seek or revocation',
    'if (partition?.generation !== set.generation) ¦return budget.dropped(length);',
  ),
  mark(
    'sink/intake.ts',
    'a lane answers for what is dropped by now',
    '|| writer.generation !== generation) ¦continue;',
  ),
  mark(
    'sink/intake.ts',
    'retention has taken records: they are recorded as lost',
    "ports.log.error('records are lost to retention",
  ),
  mark('sink/intake.ts', 'retention has taken records: lanes finish first', 'this.#gaps.set(key, event);'),
  mark('sink/intake.ts', 'retention has taken records: the pipeline halts', '¦return this.#stop(gap('),
  mark('sink/intake.ts', 'a record cannot be landed', '¦this.#onRecordFailure(writer, result.failure)'),
  mark(
    'sink/mirror.ts',
    'the group offsets could not follow',
    "this.#log.warn('the group offsets could not follow",
  ),
  mark('sink/sink.ts', 'everything is stopped, or a table', '¦broken.broken = true;'),
  mark('sink/sink.ts', 'a stop waits no longer', "this.#context.ports.log.warn('the grace period is over"),
  mark(
    'sink/sink.ts',
    'a bounded run meets a topic that was made anew',
    'it was deleted and made anew meanwhile',
  ),
  mark(
    'sink/sink.ts',
    'a bounded run cannot ask after the others',
    "ports.log.warn('it cannot be told whether everything",
  ),
];

const catalogs = [
  mark(
    'storage/put.ts',
    'an object is there after a failed attempt',
    'if (!(error instanceof AlreadyExistsError && attempt > 1)) throw error;¦',
  ),
  mark(
    'catalog/metastore.ts',
    'the metadata was cleaned away while it was read',
    'it moved on while it was read',
  ),
  mark(
    'catalog/metastore.ts',
    'the metadata could not be written: not asked',
    "return { type: 'rejected', reason: messageOf(error) };",
  ),
  mark('catalog/metastore.ts', 'a doubtful refusal is remembered', '¦this.#keepRefused(base, location);'),
  mark(
    'catalog/metastore.ts',
    'a doubtful refusal: another stands in its place',
    'history[base + 1] !== refused.location)\n        ¦await',
  ),
  mark('catalog/metastore.ts', 'a doubtful refusal: the table does not tell yet', '¦open.push(refused);'),
  mark(
    'catalog/metastore.ts',
    'the metadata of a certain refusal is deleted',
    "if (outcome.type === 'rejected') ¦await",
  ),
  mark('catalog/metastore.ts', 'a metadata version is deleted', '¦void this.#deleteQuietly(file);'),
  mark('catalog/metastore.ts', 'another worker has made the table', "metadata['table-uuid'])\n      ¦await"),
  mark('catalog/glue.ts', 'Glue: the table is elsewhere', 'if (location !== from.location) ¦return'),
  mark(
    'catalog/glue.ts',
    'Glue: the table could not be looked at',
    "¦return { type: 'rejected', reason: messageOf(error) };",
  ),
  mark(
    'catalog/glue.ts',
    'Glue: somebody was faster, or it is busy',
    "¦{ type: 'rejected', reason, doubtful: true }",
  ),
  mark('catalog/glue.ts', 'Glue: nobody can tell', "¦{ type: 'unknown', reason };"),
  mark('catalog/glue.ts', 'Glue: whether the table was made is unknown', 'whether it was created is unknown'),
  mark('catalog/rest.ts', 'REST: refused', "¦return { type: 'rejected', reason };"),
  mark('catalog/rest.ts', 'REST: nobody can tell', "¦return { type: 'unknown', reason };"),
  mark(
    'catalog/rest.ts',
    'REST: nothing was sent',
    "¦return { type: 'rejected', reason: messageOf(error) };",
  ),
  mark('catalog/rest.ts', 'REST: the namespace is not there', 'const trouble = await this.#createNamespace'),
  mark(
    'catalog/rest.ts',
    'Nessie: a first commit names the state it was made from',
    '¦const [, branch, warehouse] =',
  ),
  mark(
    'catalog/rest-client.ts',
    'REST: a token is over, and another is asked for',
    'return answer.renewed ? ¦{',
  ),
];

export const marks: readonly Mark[] = [...sink, ...catalogs];
