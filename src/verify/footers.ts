import { messageOf, NotFoundError, TransientError } from '../base/errors.ts';
import { integerBound } from '../iceberg/manifest.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import { type ColumnStatistics, type FileFacts, readFileFacts } from '../parquet/file-facts.ts';
import type { RangedStore } from '../storage/store.ts';
import type { OffsetColumns } from './columns.ts';
import type { Findings } from './finding.ts';
import type { Bounds, LiveFile } from './live-files.ts';
import type { OffsetRange } from './offset-set.ts';

/** What a file's footer says. Problems with it are told; then there is nothing to go on. */
export async function readFacts(
  file: LiveFile,
  columns: OffsetColumns | undefined,
  store: RangedStore,
  findings: Findings,
): Promise<FileFacts | undefined> {
  const place = { file: file.path, snapshot: file.adder };
  const absent = { id: -1, name: '' };
  const wanted = [columns?.topic ?? absent, columns?.partition ?? absent, columns?.offset ?? absent];
  const read = (start: number, end: number): Promise<Uint8Array> => store.getRange(file.path, start, end);
  try {
    const facts = await readFileFacts(file.sizeBytes, read, wanted, file.path);
    checkFacts(file, facts, findings);
    return facts;
  } catch (error) {
    if (error instanceof TransientError) throw error;
    if (error instanceof NotFoundError)
      findings.problem(
        'missing-file',
        `${file.path}, added by snapshot ${file.adder}, is gone with its ${file.rows} rows`,
        place,
      );
    else findings.problem('damaged-file', messageOf(error), place);
    return undefined;
  }
}

function checkFacts(file: LiveFile, facts: FileFacts, findings: Findings): void {
  const place = { file: file.path, snapshot: file.adder };
  if (facts.rows !== file.rows)
    findings.problem('row-count', `${file.path} has ${facts.rows} rows, its manifest says ${file.rows}`, {
      ...place,
      count: facts.rows,
    });
  const check = (what: string, index: number, told: Bounds<number> | undefined): void => {
    const found = boundsOf(facts, index);
    if (!told || !found || (found.min === told.min && found.max === told.max)) return;
    findings.problem(
      'wrong-bounds',
      `${file.path} has ${what} from ${found.min} to ${found.max} by its footer, its manifest says ${told.min} to ${told.max}`,
      place,
    );
  };
  check('partitions', 1, file.partition);
  check('offsets', 2, file.offset);
}

function boundsOf({ rowGroups }: FileFacts, index: number): Bounds<number> | undefined {
  const known = rowGroups.map(({ columns }) => numbersOf(columns[index]));
  if (known.length === 0 || known.includes(undefined)) return undefined;
  const bounds = known as Bounds<number>[];
  return { min: Math.min(...bounds.map(({ min }) => min)), max: Math.max(...bounds.map(({ max }) => max)) };
}

function numbersOf(statistics: ColumnStatistics | undefined): Bounds<number> | undefined {
  if (!statistics?.min || !statistics.max) return undefined;
  return { min: Number(integerBound(statistics.min)), max: Number(integerBound(statistics.max)) };
}

/** Statistics of texts may be cut; shorter ones are whole. */
const textCutBytes = 60;

/**
 * The offsets of a file, if its footer tells them: each row group is of one topic-partition, and has as many rows as there
 * are offsets between its least and its greatest. Whether those rows are all different only the columns tell.
 */
export function tellingRanges(
  facts: FileFacts,
  columns: OffsetColumns,
): { topicPartition: TopicPartition; range: OffsetRange }[] | undefined {
  const told: { topicPartition: TopicPartition; range: OffsetRange }[] = [];
  for (const group of facts.rowGroups) {
    const [topics, partitions, offsets] = group.columns;
    const offset = numbersOf(offsets);
    const partition = columns.partition ? numbersOf(partitions) : { min: 0, max: 0 };
    const topic = columns.topic ? wordOf(topics) : '';
    const isWhole = [columns.topic && topics, columns.partition && partitions, offsets].every(
      (statistics) => !statistics || statistics.nulls === 0,
    );
    if (!offset || !partition || partition.min !== partition.max || topic === undefined || !isWhole)
      return undefined;
    if (offset.max - offset.min + 1 !== group.rows) return undefined;
    told.push({
      topicPartition: { topic, partition: partition.min },
      range: { from: offset.min, next: offset.max + 1 },
    });
  }
  return told;
}

function wordOf(statistics: ColumnStatistics | undefined): string | undefined {
  const { min, max } = statistics ?? {};
  if (!min || !max || min.length > textCutBytes || Buffer.compare(min, max) !== 0) return undefined;
  return Buffer.from(min).toString('utf8');
}
