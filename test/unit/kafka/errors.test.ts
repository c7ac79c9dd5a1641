import { describe, expect, test } from 'vitest';
import { DeadlineError, FatalError, isRetryable } from '../../../src/base/errors.ts';
import { asKafkaError, KafkaError, kafkaErrorId, partitionError } from '../../../src/kafka/errors.ts';

/** An error as the library makes it: its kind, and what the broker said somewhere inside. */
function libraryError(code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { code }, more);
}

describe('an error of the library', () => {
  test('is the first answer of a broker in it, however deep', () => {
    const answer = libraryError('PLT_KFK_PROTOCOL', 'x', {
      apiId: 'NOT_COORDINATOR',
      serverErrorMessage: 'ask elsewhere',
    });
    const response = libraryError('PLT_KFK_RESPONSE', 'x', { errors: [answer] });
    const all = libraryError('PLT_KFK_MULTIPLE', 'x', { errors: [new Error('other'), response] });
    for (const error of [answer, response, all]) {
      const ours = asKafkaError('committing', error) as KafkaError;
      expect(ours).toBeInstanceOf(KafkaError);
      expect(ours.id).toBe('NOT_COORDINATOR');
      expect(ours.message).toBe('committing: NOT_COORDINATOR (ask elsewhere)');
      expect(ours.cause).toBe(error);
      expect(isRetryable(ours)).toBe(true);
    }
  });

  test.each(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT', 'PLT_KFK_MULTIPLE', 'PLT_KFK_UNEXPECTED_CORRELATION_ID'])(
    '%s is a broken connection, which may be mended',
    (code) => {
      const ours = asKafkaError('fetching', libraryError(code, 'Connection closed')) as KafkaError;
      expect([ours.id, ours.message, isRetryable(ours)]).toEqual([
        'NETWORK',
        'fetching: Connection closed',
        true,
      ]);
    },
  );

  test('of the login is for a person to mend', () => {
    const ours = asKafkaError(
      'fetching',
      libraryError('PLT_KFK_AUTHENTICATION', 'SASL authentication failed.'),
    );
    expect([(ours as KafkaError).id, isRetryable(ours)]).toEqual(['REFUSED', false]);
    expect(ours.message).toBe('fetching: SASL authentication failed: check source.sasl');
  });

  test.each([
    ['a wrong use', libraryError('PLT_KFK_USER', 'Broker requires TLS.'), 'fetching: Broker requires TLS'],
    ['one of ours', new FatalError('Apache Kafka 4.0 or newer'), 'fetching: Apache Kafka 4.0 or newer'],
    ['a bug', new TypeError('x is undefined'), 'fetching: x is undefined'],
  ])('is fatal when it is %s', (_, error, message) => {
    const ours = asKafkaError('fetching', error);
    expect(ours).toBeInstanceOf(FatalError);
    expect([ours.message, isRetryable(ours)]).toEqual([message, false]);
  });

  test('that is ours already stays what it is', () => {
    const late = new DeadlineError('fetching: no answer within 5 ms');
    expect(asKafkaError('fetching', late)).toBe(late);
  });
});

describe('an error code', () => {
  test.each([
    [6, 'NOT_LEADER_OR_FOLLOWER', true],
    [100, 'UNKNOWN_TOPIC_ID', true],
    [103, 'INCONSISTENT_TOPIC_ID', true],
    [74, 'FENCED_LEADER_EPOCH', true],
    [1, 'OFFSET_OUT_OF_RANGE', false],
    [29, 'TOPIC_AUTHORIZATION_FAILED', false],
    [-1, 'UNKNOWN_SERVER_ERROR', true],
    [9999, 'UNKNOWN_SERVER_ERROR', true],
  ])('%i is %s', (code, id, retryable) => {
    expect(kafkaErrorId(code)).toBe(id);
    expect(partitionError('fetching orders-0', code)).toMatchObject({ id, retryable });
  });

  test('says what to do about it', () => {
    expect(partitionError('fetching orders-0', 29).message).toBe(
      'fetching orders-0: TOPIC_AUTHORIZATION_FAILED: grant this principal READ and DESCRIBE on the topic',
    );
  });
});
