import { systemClock } from '../base/clock.ts';
import { type Log, silentLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { sqliteCatalog } from '../catalog/sqlite.ts';
import type { Config } from '../config/config.ts';
import { Wire } from '../kafka/wire.ts';
import type { AccessSource } from '../storage/access.ts';
import { localLocation } from '../storage/local.ts';
import { openStore } from '../storage/open.ts';
import type { StoreSettings } from '../storage/settings.ts';
import type { RangedStore } from '../storage/store.ts';

/** The configured catalog, and the store that its tables live in. */
export interface OpenedCatalog {
  readonly catalog: Catalog;
  readonly store: RangedStore;
  /** What opens the store, where the catalog vends it. */
  readonly access: AccessSource | undefined;
}

/** Opens catalog and store. @throws {FatalError} when that cannot succeed. */
export async function openCatalog(config: Config): Promise<OpenedCatalog> {
  const { catalog: settings } = config;
  const ports = { clock: systemClock, random: systemRandom };
  const store = openStore(storeSettings(config));
  // Each catalog brings its client: only the configured one is loaded.
  switch (settings.type) {
    case 'sqlite': {
      const { path, name } = settings;
      const warehouse = warehouseUri(settings.warehouse);
      return {
        catalog: sqliteCatalog({ path, name, warehouse }, { ...ports, store }),
        store,
        access: undefined,
      };
    }
    case 'glue': {
      const { glueCatalog } = await import('../catalog/glue.ts');
      return { catalog: glueCatalog(settings, { ...ports, store }), store, access: undefined };
    }
    case 'postgres': {
      const { url, name } = settings;
      const warehouse = warehouseUri(settings.warehouse);
      const { postgresCatalog } = await import('../catalog/postgres.ts');
      return {
        catalog: postgresCatalog({ url, name, warehouse }, { ...ports, store }),
        store,
        access: undefined,
      };
    }
    case 'rest': {
      const { RestCatalog } = await import('../catalog/rest.ts');
      const catalog = new RestCatalog(settings, { ...ports, fetch });
      return { catalog, store: openStore(storeSettings(config), catalog.access), access: catalog.access };
    }
  }
}

/** Connections to the configured brokers; nothing is connected yet. */
export function openWire(config: Config, log: Log = silentLog): Wire {
  const { brokers, tls, sasl, accessGrace } = config.source;
  const access = { tls: tls || undefined, sasl, graceMs: accessGrace };
  return new Wire({ brokers, clientId: `frazil-${config.pipeline}`, access }, systemClock, {
    random: systemRandom,
    fetch,
    awsSigner: async (region) => (await import('../catalog/rest-sigv4.ts')).defaultSigner(region),
    warn: (message) => log.warn(message),
  });
}

/** How stores are reached: a Glue catalog's region is that of its tables unless something else is said. */
export function storeSettings(config: Config): StoreSettings {
  const region = config.catalog.type === 'glue' ? config.catalog.region : undefined;
  if (config.store?.type !== 's3') return { s3: { region } };
  return { s3: { ...config.store, region: config.store.region ?? region } };
}

/** What messages call the configured catalog. */
export function catalogName({ catalog }: Config): string {
  switch (catalog.type) {
    case 'sqlite':
    case 'postgres':
      return catalog.name;
    case 'glue':
      return `glue${catalog.catalogId === undefined ? '' : ` of ${catalog.catalogId}`}`;
    case 'rest':
      return catalog.uri;
  }
}

/** The folder of new tables as a URI. */
export function warehouseUri(warehouse: string): string {
  return /^[a-z][a-z0-9+.-]+:/i.test(warehouse) ? warehouse : localLocation(warehouse);
}
