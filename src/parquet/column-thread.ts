import { parentPort } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { type ColumnBatch, readColumns } from './wasm-columns.ts';

/** The worker thread's side of {@link ColumnThreads}: reads one file after the other. */

export type ToColumnThread =
  | { open: { sizeBytes: number; names: readonly string[] } }
  /** What was asked for. */
  | { bytes: Uint8Array; of: number }
  /** The batch has been taken. */
  | { more: true };
export type FromColumnThread =
  | { range: readonly [start: number, end: number]; of: number }
  | { batch: ColumnBatch }
  | { end: true }
  | { error: string };

const port = parentPort;
if (port) serve(port);

function serve(to: NonNullable<typeof parentPort>): void {
  const post = (message: FromColumnThread, transfer: ArrayBuffer[] = []): void =>
    to.postMessage(message, transfer);
  const asked = new Map<number, (bytes: Uint8Array) => void>();
  let question = 0;
  let goOn = (): void => {};
  const read = (start: number, end: number): Promise<Uint8Array> =>
    new Promise((resolve) => {
      asked.set(++question, resolve);
      post({ range: [start, end], of: question });
    });

  const readFile = async ({
    sizeBytes,
    names,
  }: {
    sizeBytes: number;
    names: readonly string[];
  }): Promise<void> => {
    try {
      for await (const batch of readColumns({ sizeBytes, read }, names)) {
        const taken = new Promise<void>((resolve) => {
          goOn = resolve;
        });
        post({ batch }, buffersOf(batch));
        await taken;
      }
      post({ end: true });
    } catch (error) {
      post({ error: messageOf(error) });
    }
  };

  to.on('message', (message: ToColumnThread) => {
    if ('open' in message) void readFile(message.open);
    else if ('more' in message) goOn();
    else {
      asked.get(message.of)?.(message.bytes);
      asked.delete(message.of);
    }
  });
}

function buffersOf({ columns }: ColumnBatch): ArrayBuffer[] {
  return columns.map((column) => ('codes' in column ? column.codes : column).buffer as ArrayBuffer);
}
