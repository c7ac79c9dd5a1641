import { describe, expect, test } from 'vitest';
import { createFetch, type FetchPosition, type FetchTopic } from '../../../src/kafka/fetch-request.ts';
import { FetchSession } from '../../../src/kafka/fetch-session.ts';

const topic = (name: string, ...partitions: FetchPosition[]): FetchTopic => ({
  topic: name,
  topicId: `id-${name}`,
  partitions,
});
const at = (partition: number, offset: number, more: Partial<FetchPosition> = {}): FetchPosition => ({
  partition,
  offset,
  ...more,
});

/** `a-0 5, a-1 6 forgets b-0` */
function told({ topics, forgotten }: ReturnType<FetchSession['ask']>): string {
  const named = topics.flatMap((each) =>
    each.partitions.map((p) => `${each.topic}-${p.partition} ${p.offset}`),
  );
  const gone = forgotten.flatMap((each) => each.partitions.map((partition) => `${each.topic}-${partition}`));
  return [named.join(', '), ...(gone.length > 0 ? [`forgets ${gone.join(', ')}`] : [])].join(' ');
}

describe('a session', () => {
  test('begins with everything, and goes on with what has changed', () => {
    const session = new FetchSession();
    const first = session.ask([topic('a', at(0, 5), at(1, 6)), topic('b', at(0, 7))]);
    expect(first.session).toEqual({ id: 0, epoch: 0 });
    expect(told(first)).toBe('a-0 5, a-1 6, b-0 7');
    session.answered(99);
    const second = session.ask([topic('a', at(0, 5), at(1, 8)), topic('b', at(0, 7))]);
    expect(second.session).toEqual({ id: 99, epoch: 1 });
    expect(told(second)).toBe('a-1 8');
    session.answered(99);
    const third = session.ask([topic('a', at(0, 5), at(1, 8)), topic('b', at(0, 7))]);
    expect([third.session.epoch, told(third)]).toEqual([2, '']);
  });

  test('tells leader epochs when they change, and what it fetches no more', () => {
    const session = new FetchSession();
    session.ask([topic('a', at(0, 5, { epoch: 1, leaderEpoch: 1 }), at(1, 6, { leaderEpoch: 1 }), at(2, 7))]);
    session.answered(99);
    const next = session.ask([
      topic('a', at(0, 5, { epoch: 2, leaderEpoch: 1 }), at(1, 6, { leaderEpoch: 2 })),
    ]);
    expect(told(next)).toBe('a-0 5, a-1 6 forgets a-2');
    session.answered(99);
    expect(told(session.ask([topic('a', at(1, 6, { leaderEpoch: 2 }), at(2, 7))]))).toBe('a-2 7 forgets a-0');
  });

  test('knows the topics that an answer may be about, also those that no request names any more', () => {
    const session = new FetchSession();
    session.ask([topic('a', at(0, 5)), topic('b', at(0, 7))]);
    session.answered(99);
    const { topics, answered } = session.ask([topic('a', at(0, 6)), topic('b', at(0, 7))]);
    expect(topics.map((each) => each.topic)).toEqual(['a']);
    expect(answered).toEqual([
      { topic: 'a', topicId: 'id-a' },
      { topic: 'b', topicId: 'id-b' },
    ]);
  });

  test('begins anew after a request of which nobody knows what became, and closes the old one', () => {
    const session = new FetchSession();
    session.ask([topic('a', at(0, 5))]);
    session.answered(99);
    session.ask([topic('a', at(0, 6))]);
    session.failed();
    const next = session.ask([topic('a', at(0, 6))]);
    expect([next.session, told(next)]).toEqual([{ id: 99, epoch: 0 }, 'a-0 6']);
    session.answered(100);
    expect(session.ask([topic('a', at(0, 6))]).session).toEqual({ id: 100, epoch: 1 });
  });

  test('begins anew without an id when the broker has given it up', () => {
    const session = new FetchSession();
    session.ask([topic('a', at(0, 5))]);
    session.answered(99);
    session.failed(true);
    const next = session.ask([topic('a', at(0, 5))]);
    expect([next.session, told(next)]).toEqual([{ id: 0, epoch: 0 }, 'a-0 5']);
  });

  test('is none while the broker has no room for one: each request names everything', () => {
    const session = new FetchSession();
    for (let i = 0; i < 3; i++) {
      const asked = session.ask([topic('a', at(0, 5))]);
      expect([asked.session, told(asked)]).toEqual([{ id: 0, epoch: 0 }, 'a-0 5']);
      session.answered(0);
    }
  });
});

test('an older broker is told names, a newer one ids, of what is fetched and of what is forgotten', () => {
  const request = {
    ...{ waitMs: 1, bytesMin: 1, bytesMax: 1, partitionBytesMax: 1, rackId: 'rack-1' },
    topics: [{ topic: 'fetched', topicId: '11111111-0000-0000-0000-000000000000', partitions: [at(0, 5)] }],
    forgotten: [{ topic: 'gone', topicId: '22222222-0000-0000-0000-000000000000', partitions: [3] }],
  };
  const named = createFetch(12, request).buffer.toString('latin1');
  expect(['fetched', 'gone', 'rack-1'].every((text) => named.includes(text))).toBe(true);
  const byId = createFetch(17, request).buffer;
  expect(byId.includes(Buffer.from('11111111', 'hex')) && byId.includes(Buffer.from('22222222', 'hex'))).toBe(
    true,
  );
});
