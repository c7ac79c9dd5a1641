import type { Clock } from '../base/clock.ts';
import { isRetryable } from '../base/errors.ts';
import type { StorageAccess } from '../storage/access.ts';
import { formatIdentifier, type Table, type TableIdentifier } from './catalog.ts';

/** Properties of a table's files: the catalog's, and above them the table's `config` or those of a credential. */
type Properties = Readonly<Record<string, string>>;

/** `storage-credentials` of the specification. */
export interface StorageCredential {
  readonly prefix: string;
  readonly config: Properties;
}

/** What a catalog vends with a table. */
export interface Vended {
  readonly config: Properties;
  readonly credentials: readonly StorageCredential[];
}

interface TableAccess {
  readonly identifier: TableIdentifier;
  /** Where its files lie. */
  readonly folders: readonly string[];
  /** Those that came with a prefix of their own: they go first. */
  own: readonly StorageAccess[];
  /** That of `config`, for each of the folders. */
  common: readonly StorageAccess[];
  /** By the wall clock, as the credentials' own expiry is. */
  renewAtMs: number;
  renewing?: Promise<void>;
}

/** Keys that come without the time at which they end are asked for again at this age: none end earlier at AWS. */
const unknownLifeMs = 10 * 60_000;
const renewMarginMs = 5 * 60_000;

/** What opens the files of the tables that were loaded. */
export class VendedAccess {
  readonly #tables = new Map<string, TableAccess>();
  readonly #clock: Clock;
  readonly #renew: (identifier: TableIdentifier) => Promise<Vended | undefined>;

  /** `renew` asks the catalog for a table's credentials; undefined when there is no such table any more. */
  constructor(clock: Clock, renew: (identifier: TableIdentifier) => Promise<Vended | undefined>) {
    this.#clock = clock;
    this.#renew = renew;
  }

  /** Keeps what came with a table. */
  remember(table: Table, vended: Vended): void {
    const { identifier } = table;
    const folders = foldersOf(table);
    this.#tables.set(formatIdentifier(identifier), {
      identifier,
      folders,
      ...this.#read(vended, folders),
    });
  }

  /** @throws {TransientError} when what is known has expired and the catalog gives nothing new. */
  async find(location: string): Promise<StorageAccess | undefined> {
    const table = this.#tableOf(location);
    if (!table) return undefined;
    if (this.#clock.nowMs() >= table.renewAtMs) {
      try {
        await this.#renewed(table);
      } catch (error) {
        if (!isRetryable(error) || isOver(best(table, location), this.#clock)) throw error;
      }
    }
    return best(table, location);
  }

  /** Requests for one table share the asking. */
  #renewed(table: TableAccess): Promise<void> {
    table.renewing ??= this.#renew(table.identifier)
      .then((vended) => {
        if (vended) Object.assign(table, this.#read(vended, table.folders));
      })
      .finally(() => {
        delete table.renewing;
      });
    return table.renewing;
  }

  #read(
    { config, credentials }: Vended,
    folders: readonly string[],
  ): Pick<TableAccess, 'own' | 'common' | 'renewAtMs'> {
    const settings = Object.fromEntries(Object.entries(config).filter(([name]) => !isOfKey(name)));
    const own = credentials.flatMap((each) => accessOf(each.prefix, { ...settings, ...each.config }) ?? []);
    const common = folders.flatMap((folder) => accessOf(folder, config) ?? []);
    const nowMs = this.#clock.nowMs();
    const times = [...own, ...common].map((access) => renewAtMs(access, nowMs));
    return { own, common, renewAtMs: Math.min(...times) };
  }

  /** The table whose folder the location is in; else any that has something with a prefix of it. */
  #tableOf(location: string): TableAccess | undefined {
    const tables = [...this.#tables.values()].filter((table) => best(table, location));
    return (
      longest(tables, (table) => Math.max(...table.folders.map((folder) => matched(folder, location)))) ??
      tables[0]
    );
  }
}

/** Where a table has its files: what a credential of `config`, which has no prefix, is for. */
function foldersOf({ metadata, metadataLocation }: Table): string[] {
  const { location, properties, snapshots } = metadata;
  const folders = [
    location,
    properties['write.data.path'],
    properties['write.metadata.path'],
    parent(metadataLocation),
    ...snapshots.slice(-1).map((snapshot) => parent(snapshot['manifest-list'])),
  ];
  return [...new Set(folders.filter((folder) => folder).map((folder) => `${folder!.replace(/\/+$/, '')}/`))];
}

function parent(location: string): string {
  return location.slice(0, Math.max(0, location.lastIndexOf('/')));
}

/** Whether a property is part of a credential, not of how the store is reached. */
function isOfKey(name: string): boolean {
  return /^s3\.(access-key-id|secret-access-key|session-token.*)$|^expiration-time$/.test(name);
}

/** The longest prefix counts ("storage-credentials" before "config"). */
function best({ own, common }: TableAccess, location: string): StorageAccess | undefined {
  const match = ({ prefix }: StorageAccess): number => matched(prefix, location);
  return longest(own, match) ?? longest(common, match);
}

/** The length of a prefix, -1 when it is none. */
const matched = (prefix: string, location: string): number =>
  location.startsWith(prefix) ? prefix.length : -1;

/** The first of those with the greatest length; undefined when none has one. */
function longest<T>(items: readonly T[], length: (item: T) => number): T | undefined {
  let found: T | undefined;
  let most = -1;
  for (const item of items) {
    const its = length(item);
    if (its > most) [found, most] = [item, its];
  }
  return found;
}

function accessOf(prefix: string, properties: Properties): StorageAccess | undefined {
  const accessKeyId = properties['s3.access-key-id'];
  const secretAccessKey = properties['s3.secret-access-key'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = properties['s3.session-token'];
  // The first is Java's (S3FileIOProperties), the second Polaris's.
  const expiresAtMs = Number(
    properties['s3.session-token-expires-at-ms'] ?? properties['expiration-time'] ?? Number.NaN,
  );
  const region = properties['client.region'] ?? properties['s3.region'];
  const endpoint = properties['s3.endpoint'];
  const pathStyle = properties['s3.path-style-access'];
  return {
    prefix,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken ? { sessionToken } : {}),
    ...(Number.isFinite(expiresAtMs) ? { expiresAtMs } : {}),
    ...(region ? { region } : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(pathStyle ? { pathStyle: pathStyle === 'true' } : {}),
  };
}

/** Early enough for an upload that is about to start, however short the life. */
function renewAtMs({ expiresAtMs, sessionToken }: StorageAccess, nowMs: number): number {
  if (expiresAtMs !== undefined) return expiresAtMs - Math.min(renewMarginMs, (expiresAtMs - nowMs) / 5);
  return sessionToken === undefined ? Infinity : nowMs + unknownLifeMs;
}

function isOver(access: StorageAccess | undefined, clock: Clock): boolean {
  return !access || (access.expiresAtMs !== undefined && access.expiresAtMs <= clock.nowMs());
}
