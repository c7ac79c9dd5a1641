/** What opens a part of an object store for a while, as REST catalogs vend it. Plain data: it crosses threads. */
export interface StorageAccess {
  /** Locations that start with this are opened by it. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When it opens nothing any more; absent when nobody has said. */
  readonly expiresAtMs?: number;
  readonly region?: string;
  readonly endpoint?: string;
  readonly pathStyle?: boolean;
}

/**
 * Finds what opens a location now; undefined when the default credentials do. It keeps what it has found until shortly
 * before it expires, so it is asked for every object.
 */
export type AccessSource = (location: string) => Promise<StorageAccess | undefined>;
