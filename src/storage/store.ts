/**
 * Where data files, manifests and metadata live. Locations are full URIs (`file:///...`, `s3://...`), compared as exact
 * strings by everyone who reads the table.
 */
export interface Store {
  /**
   * Writes a new object, whole and durable when it resolves.
   * @throws {AlreadyExistsError} when the location is taken (`If-None-Match: *`): nothing is ever overwritten. Where
   *   requests may be sent twice, an object with the same bytes counts as this write's own.
   * @throws {TransientError} when trying again may help; whether the object was written is then unknown.
   */
  put(location: string, parts: readonly Uint8Array[]): Promise<void>;

  /** The whole object. @throws {NotFoundError} @throws {TransientError} */
  get(location: string): Promise<Uint8Array>;

  /** Removes an object; one that is not there is no error. @throws {TransientError} */
  delete(location: string): Promise<void>;
}

/** A store that gives parts of objects too: who wants a footer or a column does not fetch the file. */
export interface RangedStore extends Store {
  /**
   * The bytes from `start` up to, not including, `end`; fewer where the object ends before.
   * @throws {NotFoundError} @throws {TransientError}
   */
  getRange(location: string, start: number, end: number): Promise<Uint8Array>;
}
