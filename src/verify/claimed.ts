import { parseKey, type TopicPartitionKey } from '../kafka/topic-partition.ts';
import type { Chain, Link, Step } from './chain.ts';
import { type Findings, formatRange } from './finding.ts';
import type { LiveFile } from './live-files.ts';
import type { OffsetRange } from './offset-set.ts';

/** The claims of all chains, found by the snapshot that landed them. */
export class Claimed {
  readonly steps: readonly Step[];
  readonly #bySnapshot = new Map<bigint, Step>();
  /** All that is claimed of each topic-partition, from the first claim to the last. */
  readonly #envelopes = new Map<TopicPartitionKey, OffsetRange & { key: TopicPartitionKey }>();
  /** The newest epoch of each topic-partition that a chain tells of. */
  readonly #epochs = new Map<TopicPartitionKey, number>();

  /** `floors`: what was verified before ends there. */
  constructor(chains: readonly Chain[], floors: ReadonlyMap<TopicPartitionKey, number>) {
    this.steps = chains.flatMap(({ steps }) => steps);
    for (const [key, next] of floors) this.#envelopes.set(key, { key, from: 0, next });
    for (const step of this.steps) {
      if (step.snapshot) this.#bySnapshot.set(step.snapshot['snapshot-id'], step);
      for (const { key, epoch, from = 0, next } of step.links) {
        this.#epochs.set(key, Math.max(epoch, this.#epochs.get(key) ?? 0));
        const known = this.#envelopes.get(key) ?? { from, next };
        this.#envelopes.set(key, { key, from: Math.min(from, known.from), next: Math.max(next, known.next) });
      }
    }
  }

  stepOf(adder: bigint): Step | undefined {
    return this.#bySnapshot.get(adder);
  }

  /** Which topic of its name a row is of, when its file does not tell; undefined when it may be of several. */
  epochOf(key: TopicPartitionKey): number | undefined {
    const newest = this.#epochs.get(key) ?? 0;
    return newest === 0 ? 0 : undefined;
  }

  /** Whether a file may have offsets that are claimed, going by its bounds. */
  overlaps(file: LiveFile): boolean {
    const { offset } = file;
    for (const claim of this.#envelopes.values())
      if (mayHold(file, claim) && (!offset || (offset.max >= claim.from && offset.min < claim.next)))
        return true;
    return false;
  }
}

/** Whether a file may have rows of a topic-partition, by its bounds. */
function mayHold({ topic, partition }: LiveFile, { key }: Pick<Link, 'key'>): boolean {
  const { topic: name, partition: number } = parseKey(key);
  if (partition && (number < partition.min || number > partition.max)) return false;
  const bytes = Buffer.from(name);
  return !topic || (Buffer.compare(topic.min, bytes) <= 0 && Buffer.compare(bytes, topic.max) <= 0);
}

/** Whether the rows of a file can be those that its snapshot claims, by its bounds and its row count. */
export function checkFile(file: LiveFile, step: Step, findings: Findings): void {
  const snapshot = step.snapshot!['snapshot-id'];
  const place = { snapshot, file: file.path };
  const links = step.links.filter((link) => mayHold(file, link));
  if (links.length === 0) {
    findings.problem(
      'outside-claim',
      `${file.path}, added by snapshot ${snapshot}, has ${partitionsOf(file)}, of which that snapshot claims nothing`,
      place,
    );
    return;
  }
  const from = Math.min(...links.map((link) => link.from ?? 0));
  const next = Math.max(...links.map((link) => link.next));
  if (file.offset && (file.offset.min < from || file.offset.max >= next))
    findings.problem(
      'outside-claim',
      `${file.path} has ${formatRange({ from: file.offset.min, next: file.offset.max + 1 })} of ${partitionsOf(file)}; ` +
        `snapshot ${snapshot}, which added it, claims ${formatRange({ from, next })}`,
      { ...place, from: file.offset.min, next: file.offset.max + 1 },
    );
  const claimed = links.reduce((sum, link) => sum + link.next - (link.from ?? 0), 0);
  if (file.rows > claimed)
    findings.problem(
      'row-count',
      `${file.path} has ${file.rows} rows of ${partitionsOf(file)}; snapshot ${snapshot} claims ${claimed} offsets of them`,
      { ...place, count: file.rows },
    );
}

function partitionsOf({ topic, partition }: LiveFile): string {
  const topics = topic ? text(topic) : 'all topics';
  if (!partition) return topics;
  const { min, max } = partition;
  return min === max ? `${topics} partition ${min}` : `${topics} partitions ${min} to ${max}`;
}

/** Bounds of texts are cut after some letters, and the upper one is raised then. */
function text({ min, max }: { min: Uint8Array; max: Uint8Array }): string {
  const [from, to] = [Buffer.from(min).toString(), Buffer.from(max).toString()];
  return from === to ? `topic ${from}` : `topics ${from} to ${to}`;
}
