import { protocolErrorsCodesById } from '@platformatic/kafka';
import { FatalError, FrazilError, messageOf, TransientError } from '../base/errors.ts';

/** A Kafka error code that means: wait, look up leaders or coordinators anew, and ask again. */
const transientIds = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'REBALANCE_IN_PROGRESS',
  'UNSTABLE_OFFSET_COMMIT',
  'THROTTLING_QUOTA_EXCEEDED',
  'STALE_MEMBER_EPOCH',
  'FENCED_MEMBER_EPOCH',
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'UNKNOWN_SERVER_ERROR',
  'CORRUPT_MESSAGE',
]);

/** What to do about errors that will not pass by themselves. */
const advice: Record<string, string> = {
  TOPIC_AUTHORIZATION_FAILED: 'grant this principal READ and DESCRIBE on the topic',
  GROUP_AUTHORIZATION_FAILED: 'grant this principal READ on the group',
  CLUSTER_AUTHORIZATION_FAILED: 'grant this principal the right on the cluster',
  GROUP_MAX_SIZE_REACHED:
    'raise group.consumer.max.size (group.max.size for the classic protocol) of the brokers, or run fewer workers',
  UNSUPPORTED_VERSION:
    'the brokers know the request, and do not have what it is for enabled; for a group set source.groupProtocol to auto or classic',
  GROUP_ID_NOT_FOUND:
    'the group has members of the classic protocol that cannot be taken over: end them, or set source.groupProtocol to classic',
  INCONSISTENT_GROUP_PROTOCOL:
    'all members of a group must be consumers and share an assignor: see source.assignors, and what the other members have',
  FENCED_INSTANCE_ID: 'another worker runs with the same source.groupInstanceId: give each its own',
  UNRELEASED_INSTANCE_ID: 'another worker runs with the same source.groupInstanceId: give each its own',
  INVALID_SESSION_TIMEOUT:
    'source.sessionTimeout must be within group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers',
};

/** We share no version of a request with the broker. */
export class UnsupportedRequestError extends FatalError {}

/** An answer of a broker that says no, by the name of its code (`protocol/errors`), or a broken connection. */
export class KafkaError extends TransientError {
  override readonly code: string = 'KAFKA';
  override readonly retryable: boolean;
  /** Name of the Kafka error code; `NETWORK` when there was no answer, `REFUSED` when there is no way in. */
  readonly id: string;

  constructor(
    doing: string,
    id: string,
    message: string,
    cause: unknown,
    { retryable = id === 'NETWORK' || transientIds.has(id) }: { retryable?: boolean } = {},
  ) {
    super(`${doing}: ${message}${advice[id] ? `: ${advice[id]}` : ''}`, { cause });
    this.id = id;
    this.retryable = retryable;
  }
}

/** Who asks, and for how long what is denied may be asked for again: some brokers know new rights later than others. */
export interface Access {
  /** As brokers call us, where that is known. */
  readonly principal: string | undefined;
  readonly grace: { lasts(what: string): boolean };
}

interface LibraryError {
  apiId?: string;
  serverErrorMessage?: string | null;
  code?: string;
  errors?: unknown[];
  /** The answer that the error stands for. */
  response?: { topics?: { name?: string | null; errorCode?: number }[] };
}

/** Any error of the wire library as ours. */
export function asKafkaError(doing: string, error: unknown, access?: Access): Error {
  if (error instanceof FatalError) return new FatalError(`${doing}: ${error.message}`, { cause: error });
  // On the way to the broker: for what is said by who wanted to get there.
  if (error instanceof KafkaError)
    return new KafkaError(doing, error.id, error.message, error.cause, { retryable: error.retryable });
  if (error instanceof FrazilError) return error;
  const protocol = protocolError(error);
  if (protocol) {
    if (denied.test(protocol.apiId!)) return deniedError(doing, protocol.apiId!, error, access);
    const said = protocol.serverErrorMessage ? ` (${protocol.serverErrorMessage})` : '';
    return new KafkaError(doing, protocol.apiId!, `${protocol.apiId}${said}`, error);
  }
  const code = (error as LibraryError).code ?? '';
  if (code === 'PLT_KFK_AUTHENTICATION')
    return new KafkaError(doing, 'REFUSED', `${messageOf(error)}: check source.sasl`, error);
  if (code === 'PLT_KFK_USER') return new FatalError(`${doing}: ${messageOf(error)}`, { cause: error });
  if (code.startsWith('PLT_KFK_')) return new KafkaError(doing, 'NETWORK', messageOf(error), error);
  return new FatalError(`${doing}: ${messageOf(error)}`, { cause: error });
}

/** Whether brokers or group know the protocol of KIP-848 at all, in an answer to joining by it. */
export function isNoConsumerGroup(error: unknown): boolean {
  if (error instanceof KafkaError)
    return error.id === 'UNSUPPORTED_VERSION' || error.id === 'GROUP_ID_NOT_FOUND';
  return error instanceof Error && error.cause instanceof UnsupportedRequestError;
}

/** The first protocol error in what the library threw, at any depth. */
function protocolError(error: unknown): LibraryError | undefined {
  const candidate = error as LibraryError;
  if (candidate?.apiId !== undefined) return candidate;
  for (const inner of candidate?.errors ?? []) {
    const found = protocolError(inner);
    if (found) return found;
  }
  return undefined;
}

/** The name of a Kafka error code in a response, `UNKNOWN_SERVER_ERROR` for codes of the future. */
export function kafkaErrorId(code: number): string {
  return (protocolErrorsCodesById as Record<number, string>)[code] ?? 'UNKNOWN_SERVER_ERROR';
}

/** A per-partition error code as an error. */
export function partitionError(doing: string, code: number, access?: Access, topic?: string): KafkaError {
  const id = kafkaErrorId(code);
  if (denied.test(id)) return deniedError(doing, id, undefined, access, topic === undefined ? [] : [topic]);
  return new KafkaError(doing, id, id, undefined);
}

const denied = /^(TOPIC|GROUP)_AUTHORIZATION_FAILED$/;
const topicDenied = 29;

function deniedError(
  doing: string,
  id: string,
  error: unknown,
  access: Access | undefined,
  topics: readonly string[] = deniedTopics(error),
): KafkaError {
  const who = access?.principal === undefined ? '' : ` for ${access.principal}`;
  const what = topics.length === 0 ? '' : ` on topic ${topics.join(', ')}`;
  const message = `${id}${who}${what}`;
  return new KafkaError(doing, id, message, undefined, {
    retryable: access?.grace.lasts(`${id} ${doing}`) ?? false,
  });
}

function deniedTopics(error: unknown): string[] {
  const { response, errors = [] } = (error ?? {}) as LibraryError;
  if (!response) return errors.flatMap(deniedTopics);
  return (response.topics ?? []).flatMap(({ name, errorCode }) =>
    errorCode === topicDenied && name ? [name] : [],
  );
}
