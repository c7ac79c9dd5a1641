import { expect, test } from 'vitest';
import { AlreadyExistsError, NotFoundError } from '../../src/base/errors.ts';
import type { RangedStore } from '../../src/storage/store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (read: Uint8Array): string => Buffer.from(read).toString();

/** What every store does. `root` is a location below which there is nothing yet. */
export function storeSuite(store: RangedStore, root: string, race = { rounds: 5, writers: 24 }): void {
  let count = 0;
  const fresh = (name = 'object'): string => `${root}/case-${++count}/${name}`;

  test('gives back what was put, in one piece', async () => {
    const location = fresh();
    await store.put(location, [bytes('one,'), bytes(''), bytes('two')]);
    expect(text(await store.get(location))).toBe('one,two');
  });

  test('holds an empty object', async () => {
    const [none, empty] = [fresh(), fresh()];
    await store.put(none, []);
    await store.put(empty, [new Uint8Array(0)]);
    expect(await store.get(none)).toHaveLength(0);
    expect(await store.get(empty)).toHaveLength(0);
  });

  test('gives a part of an object, as far as there is one', async () => {
    const location = fresh();
    await store.put(location, [bytes('0123456789')]);
    expect(text(await store.getRange(location, 0, 3))).toBe('012');
    expect(text(await store.getRange(location, 7, 10))).toBe('789');
    expect(text(await store.getRange(location, 7, 99))).toBe('789');
    expect(text(await store.getRange(location, 10, 12))).toBe('');
    expect(text(await store.getRange(location, 4, 4))).toBe('');
    await expect(store.getRange(fresh(), 0, 1)).rejects.toThrow(NotFoundError);
  });

  test('overwrites nothing', async () => {
    const location = fresh();
    await store.put(location, [bytes('first')]);
    await expect(store.put(location, [bytes('second')])).rejects.toThrow(AlreadyExistsError);
    await expect(store.put(location, [])).rejects.toThrow(AlreadyExistsError);
    expect(text(await store.get(location))).toBe('first');
  });

  test('takes a name again once its object is deleted', async () => {
    const location = fresh();
    await store.put(location, [bytes('first')]);
    await store.delete(location);
    await expect(store.get(location)).rejects.toThrow(NotFoundError);
    await store.put(location, [bytes('second')]);
    expect(text(await store.get(location))).toBe('second');
  });

  test('says that an object is missing, and where it was looked for', async () => {
    const location = fresh();
    await expect(store.get(location)).rejects.toThrow(NotFoundError);
    await expect(store.get(location)).rejects.toThrow(location);
  });

  test('deletes what is not there without complaint', async () => {
    await store.delete(fresh());
  });

  test('keeps an object whatever becomes of the bytes it was put from', async () => {
    const location = fresh();
    const part = bytes('as it was');
    await store.put(location, [part]);
    part.fill(0);
    expect(text(await store.get(location))).toBe('as it was');
  });

  test('takes parts that are views into larger buffers', async () => {
    const location = fresh();
    const buffer = bytes('0123456789');
    await store.put(location, [
      buffer.subarray(2, 4),
      new Uint8Array(buffer.buffer, buffer.byteOffset + 7, 2),
    ]);
    expect(text(await store.get(location))).toBe('2378');
  });

  test('takes large parts and many parts', async () => {
    const large = new Uint8Array(9 * 1024 * 1024 + 1).map((_, i) => i * 31);
    const many = Array.from({ length: 3_000 }, (_, i) => Uint8Array.of(i, i >> 8, 7));
    const locations = [fresh('large'), fresh('many')] as const;
    await store.put(locations[0], [large, large.subarray(0, 5)]);
    await store.put(locations[1], many);
    expect(Buffer.compare(await store.get(locations[0]), Buffer.concat([large, large.subarray(0, 5)]))).toBe(
      0,
    );
    expect(Buffer.compare(await store.get(locations[1]), Buffer.concat(many))).toBe(0);
  });

  test('lets exactly one of many writers of a name win, and keeps what the winner wrote', async () => {
    for (let round = 0; round < race.rounds; round++) {
      const location = fresh();
      const outcomes = await Promise.allSettled(
        Array.from({ length: race.writers }, (_, i) =>
          store.put(location, [bytes(`writer ${i}, `), new Uint8Array(20_000).fill(i)]),
        ),
      );
      const winners = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []));
      expect(winners).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(AlreadyExistsError);
      const expected = Buffer.concat([
        bytes(`writer ${winners[0]}, `),
        new Uint8Array(20_000).fill(winners[0]!),
      ]);
      expect(Buffer.compare(await store.get(location), expected)).toBe(0);
    }
  });

  test('shows an object only once it is whole', async () => {
    const location = fresh();
    const part = new Uint8Array(1024 * 1024).fill(1);
    const parts = new Array<Uint8Array>(16).fill(part);
    let written = false;
    const put = store.put(location, parts).then(() => {
      written = true;
    });
    const sizes = new Set<number>();
    for (let looks = 0; !written || looks === 0; looks++) {
      try {
        sizes.add((await store.get(location)).length);
      } catch (error) {
        expect(error).toBeInstanceOf(NotFoundError);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await put;
    sizes.add((await store.get(location)).length);
    expect([...sizes]).toEqual([16 * part.length]);
  });

  test('compares names as exact strings', async () => {
    // Partition folders are written in URL form: whoever decoded these would mistake one for another.
    const names = [
      'a b',
      'a%20b',
      'a+b',
      'é',
      '%C3%A9',
      'x=a%2Fb',
      '100%',
      '%zz',
      '日本=🧊',
      '#1',
      'q?x=1',
      "it's",
      '~',
    ];
    const base = fresh('');
    for (const name of names) await store.put(`${base}${name}`, [bytes(name)]);
    for (const name of names) expect(text(await store.get(`${base}${name}`))).toBe(name);
    for (const name of names) await store.delete(`${base}${name}`);
    for (const name of names) await expect(store.get(`${base}${name}`)).rejects.toThrow(NotFoundError);
  });
}
