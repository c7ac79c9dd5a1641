import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { type Lane, LaneDiedError } from '../../../src/lane/lane.ts';
import type { ToThread } from '../../../src/lane/thread.ts';
import type { StorageAccess } from '../../../src/storage/access.ts';
import { LogBook } from '../sink/lake.ts';
import { long, planOf, setOf } from './lanes.ts';

/** The commands that a thread was sent. */
function commands(thread: FakeThread): Extract<ToThread, { command: string }>[] {
  return thread.sent.filter((message) => 'command' in message);
}

/** A thread that answers when and what a test wants. */
class FakeThread extends EventEmitter {
  static last: FakeThread;
  /** While set, threads are real. */
  static real = false;
  readonly sent: ToThread[] = [];
  readonly transferred: ArrayBuffer[][] = [];
  terminated = 0;
  isUnreferenced = false;

  readonly options: { workerData: unknown; name: string };

  constructor(_file: URL, options: { workerData: unknown; name: string }) {
    super();
    this.options = options;
    FakeThread.last = this;
  }

  postMessage(message: ToThread, transfer: ArrayBuffer[]): void {
    this.sent.push(message);
    this.transferred.push(transfer);
  }

  unref(): void {
    this.isUnreferenced = true;
  }

  async terminate(): Promise<number> {
    this.terminated++;
    return 1;
  }

  answer(index: number, result: unknown): void {
    this.emit('message', { id: commands(this)[index]!.id, result });
  }
}

vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof import('node:worker_threads')>();
  return {
    ...real,
    Worker: function Worker(file: URL, options: { workerData: unknown; name: string }) {
      return FakeThread.real ? new real.Worker(file, options) : new FakeThread(file, options);
    },
  };
});
const { threadLane } = await import('../../../src/lane/thread-lane.ts');

const p0 = { topic: 'orders', partition: 0 };
const stores = { s3: { region: 'us-east-1' } };
const opens = { prefix: 's3://lake/', accessKeyId: 'id', secretAccessKey: 'secret' };
/** What the catalog vends. */
let vended: (location: string) => Promise<StorageAccess | undefined>;

describe('the lane on this side', () => {
  let log: LogBook;
  let lane: Lane;
  let thread: FakeThread;
  beforeEach(() => {
    FakeThread.real = false;
    log = new LogBook();
    lane = threadLane('lane-1', { settings: stores, access: (location) => vended(location) }, log);
    thread = FakeThread.last;
  });

  test('sends every command with its arguments, each under an id of its own', () => {
    const plan = planOf();
    void lane.open(plan);
    void lane.seek('t', p0, 7);
    void lane.flush('t');
    void lane.drop('t');
    void lane.release(p0);
    expect(commands(thread).map(({ command, args }) => [command, args])).toEqual([
      ['open', [plan]],
      ['seek', ['t', p0, 7]],
      ['flush', ['t']],
      ['drop', ['t']],
      ['release', [p0]],
    ]);
    expect(new Set(commands(thread).map(({ id }) => id)).size).toBe(5);
    expect(thread.options).toEqual({ workerData: { stores, asksAccess: true }, name: 'lane-1' });
  });

  test('gives the bytes of a record set away, and keeps those it only describes', () => {
    const set = setOf(0, [{ n: 1 }]);
    void lane.append(set);
    void lane.describe(set, planOf());
    expect(thread.transferred).toEqual([[set.records.buffer], []]);
  });

  test('gives every answer to whom it belongs, in whatever order they come', async () => {
    const answers = [lane.flush('a'), lane.flush('b'), lane.flush('c')];
    thread.answer(2, 'for c');
    thread.answer(0, 'for a');
    thread.answer(1, 'for b');
    expect(await Promise.all(answers)).toEqual(['for a', 'for b', 'for c']);
  });

  test('throws errors as the kind they were', async () => {
    const [passing, fatal] = [lane.flush('a'), lane.flush('b')];
    const [first, second] = commands(thread);
    thread.emit('message', { id: first!.id, error: { message: 'slow down', retryable: true } });
    thread.emit('message', { id: second!.id, error: { message: 'no right', retryable: false } });
    await expect(passing).rejects.toThrow(new TransientError('slow down'));
    await expect(fatal).rejects.toThrow(new FatalError('no right'));
  });

  test('says what the thread says, and in which lane', () => {
    thread.emit('message', { log: ['warn', 'record skipped', { offset: 7 }] });
    expect([log.lines, log.fields]).toEqual([['warn record skipped'], [{ lane: 'lane-1', offset: 7 }]]);
  });

  test('fails everything under way, and everything later, when the thread dies', async () => {
    const waiting = [lane.flush('a'), lane.append(setOf(0, [{ n: 1 }]))];
    thread.emit('error', new Error('out of memory'));
    thread.emit('exit', 1);
    for (const each of waiting)
      await expect(each).rejects.toThrow(new LaneDiedError('lane lane-1 died: out of memory'));
    await expect(lane.flush('a')).rejects.toThrow('lane lane-1 died: out of memory');
    expect(thread.sent).toHaveLength(2);
  });

  test('begins anew in another thread when it is told to, and what the dead one may still say is not heard', async () => {
    const waiting = lane.flush('a');
    thread.emit('error', new Error('out of memory'));
    await expect(waiting).rejects.toBeInstanceOf(LaneDiedError);
    lane.restart();
    const again = lane.flush('a');
    thread.emit('exit', 1);
    thread.answer(0, 'from the dead');
    expect(FakeThread.last).not.toBe(thread);
    expect(FakeThread.last.options).toEqual(thread.options);
    FakeThread.last.answer(0, 'files');
    expect(await again).toBe('files');
  });

  test('answers the thread what opens a location, or why nothing does', async () => {
    const denied = new TransientError('asking for credentials: busy');
    vended = (location) => (location.endsWith('b') ? Promise.reject(denied) : Promise.resolve(opens));
    thread.emit('message', { access: 4, location: 's3://lake/a' });
    thread.emit('message', { access: 5, location: 's3://lake/b' });
    await vi.waitFor(() => expect(thread.sent).toHaveLength(2));
    expect(thread.sent).toEqual([
      { access: 4, opens },
      { access: 5, error: denied.message, retryable: true },
    ]);
  });

  test('fails also when the thread ends without a word', async () => {
    const waiting = lane.flush('a');
    thread.emit('exit', 134);
    await expect(waiting).rejects.toThrow('lane lane-1 died: its thread ended with code 134');
  });

  test('closes the lane in the thread before it ends it', async () => {
    const closing = lane.close();
    expect([commands(thread).at(-1)?.command, thread.terminated]).toEqual(['close', 0]);
    thread.answer(0, undefined);
    await closing;
    expect(thread.terminated).toBe(1);
  });

  test('does not keep the process alive when it cannot be closed in time', () => {
    expect(thread.isUnreferenced).toBe(true);
  });

  test('closes a dead thread without waiting for an answer that never comes', async () => {
    thread.emit('error', new Error('out of memory'));
    await lane.close();
    expect([thread.sent.length, thread.terminated]).toEqual([0, 1]);
  });
});

describe('a lane in a real thread', () => {
  beforeEach(() => {
    FakeThread.real = true;
  });

  test('lands rows in files, gives errors back, and ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'frazil-lane-'));
    const warehouse = pathToFileURL(folder).href;
    const log = new LogBook();
    const lane = threadLane('lane-1', { settings: stores }, log);
    try {
      await lane.open(planOf({ fields: [long('n')], onError: 'skip', dataLocation: `${warehouse}/data` }));
      await lane.seek('shop.orders', p0, 0);
      const set = setOf(0, [{ n: 1 }, 'no JSON', { n: 3 }]);
      const appending = lane.append(set);
      expect(set.records.length, 'its bytes were given away').toBe(0);
      expect((await appending).tables['shop.orders']).toMatchObject({ next: 3, rows: 2, undecodable: 1 });
      const { files } = await lane.flush('shop.orders');
      expect(files).toMatchObject([{ recordCount: 2 }]);
      expect(files[0]!.valueCounts).toBeInstanceOf(Map);
      expect(log.fields).toMatchObject([{ lane: 'lane-1', offset: 1 }]);
      await expect(lane.flush('shop.nowhere')).rejects.toThrow(
        new FatalError('lane: table shop.nowhere was never opened'),
      );
    } finally {
      await lane.close();
      rmSync(folder, { recursive: true });
    }
    await expect(lane.flush('shop.orders')).rejects.toThrow(/^lane lane-1 died: /);
    lane.restart();
    await expect(lane.flush('shop.orders'), 'it holds nothing').rejects.toThrow('was never opened');
    await lane.close();
  });

  test('asks for what opens the store of each file, and says why when nothing does', async () => {
    const asked: string[] = [];
    const access = async (location: string): Promise<undefined> => {
      asked.push(location);
      throw new FatalError('loading credentials: denied');
    };
    const lane = threadLane('lane-1', { settings: stores, access }, new LogBook());
    try {
      await lane.open(planOf({ fields: [long('n')], dataLocation: 's3://lake/t/data' }));
      await lane.seek('shop.orders', p0, 0);
      await lane.append(setOf(0, [{ n: 1 }]));
      await expect(lane.flush('shop.orders')).rejects.toThrow('loading credentials: denied');
      expect(asked).toEqual([expect.stringMatching(/^s3:\/\/lake\/t\/data\/.*\.parquet$/)]);
    } finally {
      await lane.close();
    }
  });
});
