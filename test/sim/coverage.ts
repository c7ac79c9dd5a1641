import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { marks } from './marks.ts';

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}

const src = join(import.meta.dirname, '../../src');

/** Counts how often the marked branches are taken, as V8 counts blocks; begins before the core is loaded. */
export class Coverage {
  readonly #session = new Session();

  async begin(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** By the mark's name. */
  async counts(): Promise<Record<string, number>> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    this.#session.disconnect();
    const ranges = new Map(
      result.map(({ url, functions }) => [url, functions.flatMap((each): Range[] => each.ranges)]),
    );
    return Object.fromEntries(
      marks.map(({ file, name, find }) => {
        const path = join(src, file);
        return [name, countAt(ranges.get(pathToFileURL(path).href) ?? [], offsetOf(path, find))];
      }),
    );
  }
}

/** Types are stripped by blanks: offsets are the source's own. */
function offsetOf(path: string, find: string): number {
  const source = readFileSync(path, 'utf8');
  const text = find.replace('¦', '');
  if (source.split(text).length !== 2) throw new Error(`${text} does not occur once in ${path}`);
  return source.indexOf(text) + Math.max(0, find.indexOf('¦'));
}

/** The count of the smallest block that the offset is in. */
function countAt(ranges: readonly Range[], offset: number): number {
  let best: Range | undefined;
  for (const range of ranges) {
    if (range.startOffset > offset || offset >= range.endOffset) continue;
    if (!best || range.endOffset - range.startOffset <= best.endOffset - best.startOffset) best = range;
  }
  return best?.count ?? 0;
}
