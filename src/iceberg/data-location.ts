import { murmur3 } from './murmur3.ts';

/** Where the data files of a table go: a convention, which readers do not need (Java `LocationProviders`). */
export interface DataLocation {
  /** URI of the folder, without a slash at its end. */
  folder: string;
  hashed: HashedFolders | undefined;
}

/** Files are spread over folders by their hash: object stores throttle what lies under one prefix. */
export interface HashedFolders {
  /** In a folder that tables share: what tells this table's files from others', `shop/orders`. */
  context: string | undefined;
  /** Whether folders are named after partitions too. */
  byPartition: boolean;
}

/** What the properties of a table say about its data files, also under the names of old. */
export function dataLocation(
  tableLocation: string,
  properties: Readonly<Record<string, string>>,
): DataLocation {
  const table = withoutSlash(tableLocation);
  const isHashed = isTrue(properties['write.object-storage.enabled']);
  const folder = withoutSlash(
    properties['write.data.path'] ??
      (isHashed ? properties['write.object-storage.path'] : undefined) ??
      properties['write.folder-storage.path'] ??
      `${table}/data`,
  );
  if (!isHashed) return { folder, hashed: undefined };
  const context = folder.startsWith(table) ? undefined : contextOf(table);
  return {
    folder,
    hashed: { context, byPartition: isTrue(properties['write.object-storage.partitioned-paths'] ?? 'true') },
  };
}

/** The URI of a new data file. `partitionFolder` is empty in an unpartitioned table. */
export function dataFileLocation(
  { folder, hashed }: DataLocation,
  partitionFolder: string,
  name: string,
): string {
  const isInPartition = partitionFolder !== '' && (!hashed || hashed.byPartition);
  const path = isInPartition ? `${partitionFolder}/${name}` : name;
  if (!hashed) return `${folder}/${path}`;
  if (hashed.context !== undefined) return `${folder}/${hashFolders(path)}/${hashed.context}/${path}`;
  return `${folder}/${hashFolders(path)}${hashed.byPartition ? '/' : '-'}${path}`;
}

/** The last 20 bits of the hash, as three folders of four bits and one of eight. */
function hashFolders(path: string): string {
  const bits = (murmur3(Buffer.from(path)) & 0xfffff).toString(2).padStart(20, '0');
  return [bits.slice(0, 4), bits.slice(4, 8), bits.slice(8, 12), bits.slice(12)].join('/');
}

/** The last two names of a table's location: `shop/orders`. */
function contextOf(tableLocation: string): string {
  const path = tableLocation.replace(/^[a-z][a-z0-9+.-]*:(\/\/[^/]*)?/i, '');
  return path
    .split('/')
    .filter((name) => name !== '')
    .slice(-2)
    .join('/');
}

function isTrue(text: string | undefined): boolean {
  return text?.toLowerCase() === 'true';
}

function withoutSlash(location: string): string {
  return location.replace(/\/+$/, '');
}
