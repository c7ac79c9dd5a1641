import { type AddressInfo, createServer, type Server } from 'node:net';
import { fetchV12, fetchV13, fetchV17, listOffsetsV9 } from '@platformatic/kafka';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { UnsupportedRequestError } from '../../../src/kafka/errors.ts';
import { BrokerVersions, request } from '../../../src/kafka/versions.ts';
import { Wire } from '../../../src/kafka/wire.ts';

const fetch = request('Fetch', fetchV17.api, fetchV13.api, fetchV12.api);
const listOffsets = request('ListOffsets', listOffsetsV9.api);

const broker = (minVersion: number, maxVersion: number): BrokerVersions =>
  new BrokerVersions('a:1', [{ apiKey: 1, minVersion, maxVersion }]);

describe('the version of a request', () => {
  test.each([
    [0, 12, 12],
    [4, 13, 13],
    [4, 16, 13],
    [4, 17, 17],
    [13, 99, 17],
  ])('is the newest that both know: %i to %i -> %i', (min, max, chosen) => {
    expect(broker(min, max).choose(fetch).version).toBe(chosen);
    expect(broker(min, max).has(fetch)).toBe(true);
  });

  test('is an error that says what to do when the broker is too old', () => {
    expect(() => broker(0, 11).choose(fetch)).toThrow(
      new UnsupportedRequestError(
        'broker a:1 offers versions 0 to 11 of Fetch, one of versions 12 to 17 is needed: the broker must be Apache Kafka 2.8 or newer, or speak its protocol',
      ),
    );
    expect(() => broker(0, 11).choose(listOffsets)).toThrow(
      'broker a:1 offers no version of ListOffsets, version 9 is needed: the broker must be',
    );
    expect(broker(0, 11).has(fetch)).toBe(false);
    expect(broker(0, 11).has(listOffsets)).toBe(false);
  });

  test('is an error that says what to do when the broker is too new', () => {
    expect(() => broker(18, 30).choose(fetch)).toThrow(
      'broker a:1 offers versions 18 to 30 of Fetch, one of versions 12 to 17 is needed: the broker is newer than this frazil knows: use a newer frazil',
    );
  });
});

describe('a broker is asked for its versions', () => {
  let server: Server | undefined;
  let wire: Wire | undefined;
  afterEach(async () => {
    await wire?.close();
    server?.close();
  });

  /** A broker that answers each request, by its key and version, with bytes behind the correlation id; or never. */
  async function listen(answer: (key: number, version: number) => Buffer | undefined): Promise<string[]> {
    const asked: string[] = [];
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        const [key, version] = [bytes.readInt16BE(4), bytes.readInt16BE(6)];
        asked.push(`${key} v${version}`);
        const body = answer(key, version);
        if (!body) return;
        const head = Buffer.alloc(8);
        head.writeInt32BE(4 + body.length);
        head.writeInt32BE(bytes.readInt32BE(8), 4);
        socket.write(Buffer.concat([head, body]));
      });
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    wire = new Wire({ brokers: [`127.0.0.1:${port}`], clientId: 'test' }, systemClock);
    return asked;
  }

  /** Version 0 of the answer: an error, and [key, least, greatest] of each request. */
  function oldVersions(error: number, ...apis: [number, number, number][]): Buffer {
    const bytes = Buffer.alloc(6 + apis.length * 6);
    bytes.writeInt16BE(error);
    bytes.writeInt32BE(apis.length, 2);
    for (const [i, api] of apis.entries())
      for (const [j, value] of api.entries()) bytes.writeInt16BE(value, 6 + i * 6 + j * 2);
    return bytes;
  }

  test('one from before 2.4 in the form that it knows, and is refused', async () => {
    const asked = await listen((_key, version) =>
      version === 0 ? oldVersions(0, [1, 0, 10], [3, 0, 8], [18, 0, 2]) : oldVersions(35, [18, 0, 2]),
    );
    await expect(wire!.metadata(['orders'])).rejects.toThrow(
      /^asking for the metadata of orders: broker 127\.0\.0\.1:\d+ offers versions 0 to 10 of Fetch, one of versions 12 to 17 is needed/,
    );
    expect(asked).toEqual(['18 v3', '18 v0']);
  });

  test('once per connection, however much is asked at a time', async () => {
    const asked = await listen((_key, version) =>
      version === 0 ? oldVersions(0, [1, 0, 11]) : oldVersions(35),
    );
    const answers = await Promise.allSettled([
      wire!.metadata([]),
      wire!.metadata([]),
      wire!.coordinator('g'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(asked).toEqual(['18 v3', '18 v0']);
  });
});
