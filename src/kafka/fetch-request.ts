import { type API, fetchV12, fetchV13, fetchV14, fetchV15, fetchV16, fetchV17 } from '@platformatic/kafka';
import { type Request, request } from './versions.ts';

/** What is asked of a broker with one Fetch (`FetchRequest.json`). */
export interface FetchRequest {
  waitMs: number;
  bytesMin: number;
  bytesMax: number;
  partitionBytesMax: number;
  /** In the order in which the broker is to fill its answer; of a session's those that are new or have changed. */
  topics: readonly FetchTopic[];
  /** The session that this continues; without one every request stands for itself. */
  session?: { id: number; epoch: number };
  /** What the session is to leave out from now on. */
  forgotten?: readonly ForgottenTopic[];
  /** All topics that the answer may be about, where they are more than `topics`: brokers from before 3.1 tell names only. */
  answered?: readonly { topic: string; topicId: string }[];
  /** Where we are: a replica that is near may be fetched from (KIP-392). */
  rackId?: string | undefined;
}

export interface FetchTopic {
  topic: string;
  topicId: string;
  partitions: FetchPosition[];
}

export interface ForgottenTopic {
  topic: string;
  topicId: string;
  partitions: number[];
}

export interface FetchPosition {
  partition: number;
  offset: number;
  /** Of the record before `offset`, where it is known. */
  epoch?: number | undefined;
  /** The leader's, as the metadata has it: a broker that is of another one refuses. */
  leaderEpoch?: number | undefined;
}

const fetches = [fetchV17, fetchV16, fetchV15, fetchV14, fetchV13, fetchV12];
/** The first version that names topics by their id. */
export const fetchByIdVersion = 13;

type Created = ReturnType<typeof fetchV17.createRequest>;

type FetchApi = typeof fetchV17.api extends API<infer A, infer R> ? Request<A, R> : never;
export const fetchRequest: FetchApi = request('Fetch', ...fetches.map(({ api }) => api));

/** The isolation level as a number: the string form is silently read as uncommitted. */
export const readCommitted = 1;
/** Every fetch names all its partitions: no incremental session. */
const noSession = { id: 0, epoch: -1 };

/** The request as bytes, in a version of {@link fetchRequest}. */
export function createFetch(version: number, asked: FetchRequest): Created {
  const { createRequest } = fetches.find(({ api }) => api.version === version)!;
  const { session = noSession, forgotten = [], rackId = '' } = asked;
  const named = ({ topic, topicId }: { topic: string; topicId: string }): string =>
    version >= fetchByIdVersion ? topicId : topic;
  return createRequest(
    asked.waitMs,
    asked.bytesMin,
    asked.bytesMax,
    readCommitted,
    session.id,
    session.epoch,
    asked.topics.map((each) => ({
      topicId: named(each),
      partitions: each.partitions.map(({ partition, offset, epoch = -1, leaderEpoch = -1 }) => ({
        partition,
        currentLeaderEpoch: leaderEpoch,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: epoch,
        partitionMaxBytes: asked.partitionBytesMax,
      })),
    })),
    forgotten.map((each) => ({ topic: named(each), topicId: named(each), partitions: each.partitions })),
    rackId,
  );
}
