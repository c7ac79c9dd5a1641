import type { TableInput } from '@aws-sdk/client-glue';
import type { Snapshot } from '../../src/iceberg/metadata.ts';

/** A commit that a worker has asked a catalog for. */
export interface CommitRequest {
  readonly worker: string;
  readonly table: string;
  readonly snapshot: Snapshot;
  /** The metadata that the worker has written for it; absent where the catalog writes it. */
  readonly location?: string;
}

/** What a catalog keeps of a table. */
interface TableEntry {
  location: string;
  /**
   * Another one after every change, whatever is changed. Glue's own begin anew with a table of the same name: a commit
   * under way while its table is dropped and made anew may take the new one's place (README.md).
   */
  version: number;
  /** What Glue was last told. */
  input: TableInput;
}

/** The catalog of a world: one pointer per table. How it is spoken to is the clients' business. */
export class CatalogServer {
  readonly tables: Map<string, TableEntry> = new Map();
  #versions = 0;
  readonly namespaces: Set<string> = new Set();
  /** REST: tokens that are taken, with the time at which they end. */
  readonly tokens: Map<string, number> = new Map();
  /** Called after each move of a table; `by` is undefined for foreign moves. */
  onMove: (table: string, from: string | undefined, by: string | undefined) => void = () => {};
  onRequest: (request: CommitRequest) => void = () => {};
  /** Called when the worker hears what became of a request. */
  onAnswer: (request: CommitRequest, heard: 'applied' | 'rejected' | 'unknown') => void = () => {};

  location(table: string): string | undefined {
    return this.tables.get(table)?.location;
  }

  swap(table: string, from: string, to: string, by?: string, input?: TableInput): boolean {
    const entry = this.tables.get(table);
    if (entry?.location !== from) return false;
    entry.location = to;
    entry.version = ++this.#versions;
    entry.input = input ?? entry.input;
    this.onMove(table, from, by);
    return true;
  }

  insert(table: string, location: string, by?: string, input: TableInput = { Name: table }): boolean {
    if (this.tables.has(table)) return false;
    this.tables.set(table, { location, version: ++this.#versions, input });
    this.onMove(table, undefined, by);
    return true;
  }

  /** Somebody changes what is said of the table, not the table. */
  touch(table: string): void {
    const entry = this.tables.get(table);
    if (entry) entry.version = ++this.#versions;
  }
}
