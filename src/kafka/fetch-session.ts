import type { FetchRequest, FetchTopic, ForgottenTopic } from './fetch-request.ts';

/** What a session knows of a partition. */
interface Known {
  topic: string;
  topicId: string;
  partition: number;
  offset: number;
  epoch: number | undefined;
  leaderEpoch: number | undefined;
}

type SessionPart = Required<Pick<FetchRequest, 'session' | 'topics' | 'forgotten' | 'answered'>>;

/** Asks for a session, after the one of that id, if there is one, was closed. */
const firstEpoch = 0;
const epochMax = 2 ** 31 - 1;

/**
 * An incremental fetch session with one broker (KIP-227): it remembers what we fetch, so that requests name only what has
 * changed, and answers only what has news. Partitions in which nothing happens cost nothing.
 */
export class FetchSession {
  #id = 0;
  #epoch = firstEpoch;
  /** What the broker has been told, in the order of the telling. */
  #known = new Map<string, Known>();

  /** The next request, for these positions. One is under way at a time. */
  ask(topics: readonly FetchTopic[]): SessionPart {
    if (this.#epoch === firstEpoch) this.#known.clear();
    const wanted = new Set<string>();
    const changed: FetchTopic[] = [];
    for (const { topic, topicId, partitions } of topics) {
      const news = partitions.filter((position) => {
        const key = `${topicId}-${position.partition}`;
        wanted.add(key);
        const { partition, offset, epoch, leaderEpoch } = position;
        const before = this.#known.get(key);
        this.#known.set(key, { topic, topicId, partition, offset, epoch, leaderEpoch });
        return before?.offset !== offset || before.epoch !== epoch || before.leaderEpoch !== leaderEpoch;
      });
      if (news.length > 0) changed.push({ topic, topicId, partitions: news });
    }
    const answered = new Map([...this.#known.values()].map(({ topic, topicId }) => [topicId, topic]));
    return {
      session: { id: this.#id, epoch: this.#epoch },
      topics: changed,
      forgotten: this.#forget(wanted),
      answered: [...answered].map(([topicId, topic]) => ({ topic, topicId })),
    };
  }

  #forget(wanted: ReadonlySet<string>): ForgottenTopic[] {
    const forgotten = new Map<string, ForgottenTopic>();
    for (const [key, { topic, topicId, partition }] of this.#known) {
      if (wanted.has(key)) continue;
      this.#known.delete(key);
      const entry = forgotten.get(topicId) ?? { topic, topicId, partitions: [] };
      forgotten.set(topicId, entry);
      entry.partitions.push(partition);
    }
    return [...forgotten.values()];
  }

  /** The broker has answered, without an error of the whole. 0: it keeps no session for us. */
  answered(sessionId: number): void {
    if (sessionId === 0) return this.failed();
    this.#id = sessionId;
    this.#epoch = this.#epoch === epochMax ? 1 : this.#epoch + 1;
  }

  /** It is not known any more (`isGone`), or nobody can tell what the broker knows of it: the next request names all. */
  failed(isGone = false): void {
    if (isGone) this.#id = 0;
    this.#epoch = firstEpoch;
  }
}
