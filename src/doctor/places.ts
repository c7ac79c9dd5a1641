import type { Config } from '../config/config.ts';
import { storeSettings, warehouseUri } from '../worker/open.ts';
import type { Tables } from './catalog.ts';

/** Where objects will be written: below the warehouse, and where tables are in other buckets. */
export async function placesOf(config: Config, tables: Pick<Tables, 'loaded'>): Promise<string[]> {
  const { catalog } = config;
  // The warehouse of a REST catalog is a name.
  const warehouse = catalog.type === 'rest' ? [] : [warehouseUri(catalog.warehouse)];
  const data = (await tables.loaded()).map(
    ({ metadata }) => metadata.properties['write.data.path'] ?? `${metadata.location}/data`,
  );
  const byRoot = new Map<string, string>();
  for (const place of [...warehouse, ...data])
    if (!byRoot.has(rootOf(place))) byRoot.set(rootOf(place), place.replace(/\/+$/, ''));
  return [...byRoot.values()];
}

/** Scheme and bucket. */
function rootOf(place: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i.exec(place)?.[0] ?? 'file://';
}

/** The HTTP servers that a worker will talk to. */
export function serversOf(config: Config): string[] {
  const { catalog, decode } = config;
  const servers: string[] = [];
  for (const format of [decode.value, decode.key])
    if (format.format === 'avro') servers.push(format.registry.url);
  const { endpoint, region } = storeSettings(config).s3;
  const onS3 = config.store?.type === 's3' || (catalog.type !== 'rest' && /^s3/i.test(catalog.warehouse));
  if (onS3) servers.push(endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com/`);
  if (catalog.type === 'rest') servers.push(catalog.uri);
  if (catalog.type === 'glue' && catalog.endpoint !== undefined) servers.push(catalog.endpoint);
  return servers;
}
