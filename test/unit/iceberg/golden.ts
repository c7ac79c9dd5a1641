import { readFileSync } from 'node:fs';

/** Files of other writers; test/golden/iceberg/README.md tells what they are. */
const folder = new URL('../../golden/iceberg/', import.meta.url);

export function goldenBytes(name: string): Uint8Array {
  return readFileSync(new URL(name, folder));
}

export function goldenText(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8');
}

export function goldenJson<T>(name: string): T {
  return JSON.parse(goldenText(name)) as T;
}
