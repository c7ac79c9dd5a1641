import type { Clock } from '../base/clock.ts';
import { FatalError, messageOf } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { formatIdentifier, type Table } from '../catalog/catalog.ts';
import type { ManifestFile } from '../iceberg/manifest-list.ts';
import { mainBranch } from '../iceberg/metadata.ts';
import type { TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { ReadColumns } from '../parquet/wasm-columns.ts';
import type { RangedStore } from '../storage/store.ts';
import { checkHistory, checkSteps, questionOf, tellContents, tellCounts } from './accounts.ts';
import { ledgerAt } from './basis.ts';
import { type Basis, type Chain, floorsOf, pipelinesOf, readChain } from './chain.ts';
import { type Changes, readChanges } from './changes.ts';
import { Claimed, checkFile } from './claimed.ts';
import { type ColumnNames, findColumns, type OffsetColumns } from './columns.ts';
import { Contents } from './contents.ts';
import { Findings } from './finding.ts';
import { readFacts } from './footers.ts';
import { explainHoles } from './holes.ts';
import { inParallel } from './in-parallel.ts';
import { abandonedBy, type Lineage, lineageOf } from './lineage.ts';
import { type LiveFile, liveFiles, manifestsOf, Paths } from './live-files.ts';
import { compareWithLog, isTopicOf, type LogPort, type LogView, type Stand } from './log.ts';
import type { OffsetRange } from './offset-set.ts';
import { patient } from './patient-store.ts';
import { type Depth, partitionReports, type Report, summaryOf } from './report.ts';

export interface VerifyOptions {
  readonly depth: Depth;
  readonly columns: ColumnNames;
  /** What was verified before. */
  readonly basis: Basis | undefined;
  /** Deletions by others are exceptions, not problems. */
  readonly allowDeletes: boolean;
  /** Offsets without a row whose cause is not known any more are gaps. */
  readonly strict: boolean;
  /** The pipeline whose ledger is compared with the log. */
  readonly pipeline: string;
  /** Undecodable records are left out by the present configuration. */
  readonly skipsUndecodable: boolean;
}

export interface VerifyPorts {
  readonly store: RangedStore;
  readonly readColumns: ReadColumns;
  /** Undefined: the logs are left alone. */
  readonly log: LogPort | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Told after every file. */
  onProgress(progress: Progress): void;
}

export interface Progress {
  readonly doing: 'files' | 'columns';
  readonly files: number;
  readonly filesTotal: number;
}

/** Files looked at side by side: most of the time is waiting for the store. */
const filesAtOnce = 16;
/** Columns of files read side by side: each holds some megabytes. */
const columnsAtOnce = 2;

/**
 * Proves of a table that every offset that was landed is in it once, or finds why not. Only reads.
 * @throws {FatalError} when the table has nothing to verify it by.
 */
export async function verify(table: Table, options: VerifyOptions, ports: VerifyPorts): Promise<Report> {
  return new Verification(table, options, ports).run();
}

class Verification {
  readonly #table: Table;
  readonly #options: VerifyOptions;
  readonly #ports: VerifyPorts;
  readonly #store: RangedStore;
  readonly #findings = new Findings();
  readonly #lineage: Lineage;
  readonly #chains: readonly Chain[];
  /** What was verified before ends there. */
  readonly #floors: ReadonlyMap<TopicPartitionKey, number>;
  readonly #claimed: Claimed;
  readonly #columns: OffsetColumns | undefined;
  #manifests: readonly ManifestFile[] = [];
  #files = 0;
  #rows = 0;
  /** Rows that somebody else has added. */
  #rowsOfOthers = 0;
  /** Why the metadata alone does not settle it. */
  #question: string | undefined;

  constructor(table: Table, options: VerifyOptions, ports: VerifyPorts) {
    this.#table = table;
    this.#options = options;
    this.#ports = ports;
    this.#store = patient(ports.store, ports);
    const { metadata } = table;
    this.#lineage = lineageOf(metadata, mainBranch);
    this.#chains = pipelinesOf(metadata, this.#lineage).map((pipeline) =>
      readChain(pipeline, mainBranch, metadata, this.#lineage, options.basis, this.#findings),
    );
    this.#floors = floorsOf(this.#chains, options.basis);
    this.#claimed = new Claimed(this.#chains, this.#floors);
    this.#columns = findColumns(metadata, options.columns);
    if (!this.#columns && this.#chains.length === 0)
      throw new FatalError(
        `verifying table ${formatIdentifier(table.identifier)}: it has neither a ledger of a pipeline nor a column ` +
          `${options.columns.offset}; name its columns with --offset-column, --partition-column and --topic-column`,
      );
  }

  async run(): Promise<Report> {
    const { depth, basis } = this.#options;
    checkSteps(this.#claimed, this.#findings);
    checkHistory(this.#lineage, basis, this.#chains.length > 0, this.#findings);
    const changes = await this.#readChanges();
    await this.#openHead();
    const hasLedger = this.#chains.length > 0;
    // Without claims nothing but the rows themselves tells.
    const readsAll = this.#columns !== undefined && (depth === 'columns' || !hasLedger);
    let contents = readsAll ? this.#newContents(changes, depth === 'quick') : undefined;
    await this.#look(changes, contents);
    const rolledBack = this.#rolledBack();
    const { isSound } = this.#findings;
    const { view, stands, kafka } = await this.#compareWithLog(contents);
    if (hasLedger) this.#question ??= isSound ? this.#ask(changes, rolledBack, view) : 'something is wrong';
    const isOpen = !contents && this.#question !== undefined && this.#columns !== undefined;
    if (isOpen && depth !== 'quick') {
      contents = this.#newContents(changes, false);
      await this.#readColumns(contents);
    }
    if (contents) {
      await this.#explain(contents, changes, rolledBack, view);
      tellContents(contents, this.#findings);
    } else {
      tellCounts(this.#claimed, this.#question, this.#columns !== undefined, this.#findings);
    }
    const because = isOpen && contents ? this.#question : undefined;
    return this.#report(contents, stands, because, kafka);
  }

  #readChanges(): Promise<Changes> {
    const after = this.#options.basis?.sequenceNumber ?? -1;
    const { allowDeletes } = this.#options;
    return readChanges(this.#lineage, this.#claimed, after, allowDeletes, this.#store, this.#findings);
  }

  async #openHead(): Promise<void> {
    const head = this.#lineage.snapshots.at(-1);
    if (!head) {
      if (!this.#lineage.isWhole)
        this.#findings.problem(
          'missing-metadata',
          'the head of the branch is not among the snapshots of the table',
        );
      return;
    }
    // Where it is gone, reading the changes has told that.
    this.#manifests = await manifestsOf(this.#store, head).catch((error) => {
      this.#findings.problem('missing-metadata', `the head cannot be read: ${messageOf(error)}`, {
        snapshot: head['snapshot-id'],
      });
      return [];
    });
  }

  #newContents({ appenders }: Changes, byFooters: boolean): Contents {
    return new Contents(
      this.#columns!,
      this.#claimed,
      { floors: this.#floors, appenders, byFooters },
      { store: this.#store, readColumns: this.#ports.readColumns },
      this.#findings,
    );
  }

  /** The live files that were not verified before. */
  async *#live(findings: Findings): AsyncGenerator<LiveFile> {
    const after = this.#options.basis?.sequenceNumber ?? -1;
    for await (const file of liveFiles(this.#manifests, this.#store, this.#columns, findings))
      if (file.sequenceNumber > after) yield file;
  }

  get #filesTotal(): number {
    return this.#manifests
      .filter(({ content }) => content === 0)
      .reduce((sum, { addedFiles, existingFiles }) => sum + addedFiles + existingFiles, 0);
  }

  /** Looks at every live file: against its claim, its footer, and what others have added. */
  async #look(changes: Changes, contents: Contents | undefined): Promise<void> {
    const paths = new Paths();
    const isQuick = this.#options.depth === 'quick' && !contents;
    const filesTotal = this.#filesTotal;
    const atOnce = contents ? columnsAtOnce : filesAtOnce;
    await inParallel(this.#live(this.#findings), atOnce, async (file) => {
      paths.add(file.path);
      this.#rows += file.rows;
      const step = this.#claimed.stepOf(file.adder);
      if (step) checkFile(file, step, this.#findings);
      else if (changes.adders.has(file.adder)) this.#lookAtOthers(file);
      if (!isQuick) {
        const facts = await readFacts(file, this.#columns, this.#store, this.#findings);
        if (facts && contents) await contents.add(file, facts);
      }
      this.#files++;
      this.#ports.onProgress({ doing: contents ? 'columns' : 'files', files: this.#files, filesTotal });
    });
    await this.#findTwice(paths.suspects);
  }

  #lookAtOthers(file: LiveFile): void {
    this.#rowsOfOthers += file.rows;
    if (this.#claimed.overlaps(file))
      this.#question ??= `others have added rows with offsets that a pipeline has landed (snapshot ${file.adder})`;
  }

  async #findTwice(suspects: ReadonlySet<string>): Promise<void> {
    if (suspects.size === 0) return;
    const counts = new Map<string, LiveFile[]>();
    for await (const file of this.#live(new Findings()))
      if (suspects.has(file.path)) counts.set(file.path, [...(counts.get(file.path) ?? []), file]);
    for (const [path, files] of counts)
      if (files.length > 1)
        this.#findings.problem(
          'file-twice',
          `${path} is in the table ${files.length} times (added by snapshots ${files.map(({ adder }) => adder).join(', ')}): ` +
            `its ${files[0]!.rows} rows are duplicates`,
          { file: path, count: files[0]!.rows * (files.length - 1) },
        );
  }

  async #readColumns(contents: Contents): Promise<void> {
    const filesTotal = this.#filesTotal;
    let files = 0;
    await inParallel(this.#live(new Findings()), columnsAtOnce, async (file) => {
      // What is wrong with footers is known by now.
      const facts = await readFacts(file, this.#columns, this.#store, new Findings());
      if (facts) await contents.add(file, facts);
      this.#ports.onProgress({ doing: 'columns', files: ++files, filesTotal });
    });
  }

  /** Offsets that rollbacks took away, and after which the pipeline went on as if they had landed (onRollback: skip). */
  #rolledBack(): Map<TopicPartitionKey, OffsetRange[]> {
    const found = new Map<TopicPartitionKey, OffsetRange[]>();
    for (const { fork, tip } of abandonedBy(this.#table.metadata, this.#lineage))
      for (const { pipeline } of this.#chains) {
        const landed = ledgerAt(pipeline, tip, this.#table.metadata);
        if (!landed) continue;
        const before = fork && ledgerAt(pipeline, fork, this.#table.metadata);
        for (const [key, next] of landed.next) {
          const from = before?.next.get(key) ?? 0;
          if (next > from) found.set(key, [...(found.get(key) ?? []), { from, next }]);
        }
        this.#findings.exception(
          'landed-again',
          `snapshot ${tip['snapshot-id']} of pipeline ${pipeline} was rolled back`,
          { snapshot: tip['snapshot-id'] },
        );
      }
    return found;
  }

  async #compareWithLog(
    contents: Contents | undefined,
  ): Promise<{ view: LogView | undefined; stands: Map<TopicPartitionKey, Stand>; kafka?: string }> {
    const { log } = this.#ports;
    const stands = new Map<TopicPartitionKey, Stand>();
    if (!log) return { view: undefined, stands, kafka: 'not asked' };
    const chain = this.#chains.find(({ pipeline }) => pipeline === this.#options.pipeline);
    const seen = [...(contents?.seen.values() ?? [])].map(({ topic }) => topic);
    const topics = chain ? [...chain.ledger.topicIds.keys()] : this.#chains.length === 0 ? seen : [];
    const asked = [...new Set(topics)].filter((topic) => topic !== '');
    if (asked.length === 0)
      return {
        view: undefined,
        stands,
        kafka: `pipeline ${this.#options.pipeline} has no ledger in this table`,
      };
    try {
      const view = await log.view(asked, chain?.ledger.epochs ?? new Map());
      if (chain) return { view, stands: compareWithLog(chain, view, this.#findings) };
      for (const [key, { start, end }] of view.ranges)
        stands.set(key, { logStart: start, logEnd: end, retained: end - start, toCome: 0 });
      return { view, stands };
    } catch (error) {
      return { view: undefined, stands, kafka: messageOf(error) };
    }
  }

  #ask(
    changes: Changes,
    rolledBack: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>,
    view: LogView | undefined,
  ): string | undefined {
    const { basis } = this.#options;
    const ownRows = this.#rows - this.#rowsOfOthers;
    const isLogKnown = view !== undefined;
    return questionOf({ claimed: this.#claimed, changes, ownRows, rolledBack, basis, isLogKnown });
  }

  async #explain(
    contents: Contents,
    changes: Changes,
    rolledBack: ReadonlyMap<TopicPartitionKey, readonly OffsetRange[]>,
    view: LogView | undefined,
  ): Promise<void> {
    const { log } = this.#ports;
    const chain = this.#chains.find(({ pipeline }) => pipeline === this.#options.pipeline);
    const isSame = (topic: string): boolean => !chain || isTopicOf(chain.ledger, view!, topic);
    const { strict, skipsUndecodable } = this.#options;
    await explainHoles(
      this.#claimed,
      contents,
      {
        rolledBack,
        removedRows: changes.removedRows,
        log: log && view ? { port: log, view, isSame } : undefined,
        skipsUndecodable,
        strict,
      },
      this.#findings,
    );
  }

  #report(
    contents: Contents | undefined,
    stands: ReadonlyMap<TopicPartitionKey, Stand>,
    because: string | undefined,
    kafka: string | undefined,
  ): Report {
    const { depth, basis } = this.#options;
    const partitions = partitionReports(
      this.#chains,
      contents,
      stands,
      (pipeline) => pipeline === this.#options.pipeline,
    );
    const findings = this.#findings;
    findings.sort();
    const name = formatIdentifier(this.#table.identifier);
    const [files, rows] = [this.#files, this.#rows];
    return {
      table: name,
      verdict: findings.isSound ? 'sound' : 'unsound',
      summary: summaryOf(name, { files, rows, partitions }, this.#claimed, findings),
      snapshot: this.#lineage.snapshots.at(-1)?.['snapshot-id'] ?? null,
      ...(basis ? { after: basis.snapshot } : {}),
      depth: contents && depth !== 'quick' ? 'columns' : depth,
      ...(because === undefined ? {} : { columnsReadBecause: because }),
      pipelines: this.#chains.map(({ pipeline }) => pipeline),
      snapshots: this.#lineage.snapshots.length,
      files,
      rows,
      partitions,
      problems: findings.problems,
      exceptions: findings.exceptions,
      problemCounts: Object.fromEntries(findings.problemCounts),
      exceptionCounts: Object.fromEntries(findings.exceptionCounts),
      ...(kafka === undefined ? {} : { kafka }),
    };
  }
}
