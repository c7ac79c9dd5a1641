import { HttpProxy } from '../../../localstack/lib/http-proxy.ts';
import { TcpProxy } from '../../../localstack/lib/tcp-proxy.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { postgresCatalog } from '../../../src/catalog/postgres.ts';
import { RestCatalog } from '../../../src/catalog/rest.ts';
import type { RestSettings } from '../../../src/catalog/rest-client.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import type { Store } from '../../../src/storage/store.ts';
import { type Capabilities, freshNamespace } from '../../contract/catalog-bench.ts';
import type { CatalogBehindProxy } from '../../contract/catalog-fault-suite.ts';

/** The real catalogs, each with a proxy of its own before it. */

const ports = { clock: systemClock, random: systemRandom };

const metastore: Capabilities = { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 };

/** `url`: of a database. The files are in memory. */
export async function postgresBehindProxy(url: string): Promise<CatalogBehindProxy> {
  const { port } = new URL(url);
  const proxy = await TcpProxy.start({ target: `tcp://127.0.0.1:${port}` });
  const over =
    (at: string): CatalogBehindProxy['catalog'] =>
    (store) =>
      postgresCatalog({ url: at, name: 'lake', warehouse: 'memory://wh' }, { ...ports, store });
  return {
    catalog: over(url.replace(port, String(proxy.port))),
    direct: over(url),
    proxy,
    requests: {
      load: { body: 'SELECT metadata_location' },
      create: { body: 'INSERT INTO iceberg_tables' },
      commit: { body: 'UPDATE iceberg_tables' },
    },
    service: 'sql',
    store: new MemoryStore(),
    namespace: () => freshNamespace(2),
    capabilities: metastore,
    close: () => proxy.close(),
  };
}

export async function restBehindProxy(
  settings: Partial<RestSettings> & Pick<RestSettings, 'uri'>,
  store: Store,
  capabilities: Partial<Capabilities> = {},
): Promise<CatalogBehindProxy> {
  const { origin } = new URL(settings.uri);
  const proxy = await HttpProxy.start({ target: origin });
  const over =
    (uri: string): CatalogBehindProxy['catalog'] =>
    () =>
      new RestCatalog(
        { auth: { type: 'none' }, vendedCredentials: false, headers: {}, ...settings, uri },
        { ...ports, fetch },
      );
  const all = { ...metastore, serverWritesMetadata: true, ...capabilities };
  return {
    catalog: over(settings.uri.replace(origin, proxy.url)),
    direct: over(settings.uri),
    proxy,
    requests: {
      load: { method: 'GET', path: '/tables/[^/?]+(\\?|$)' },
      create: { method: 'POST', path: '/tables$' },
      commit: { method: 'POST', path: '/tables/[^/?]+$' },
    },
    service: 'rest',
    store,
    namespace: () => freshNamespace(all.namespaceLevels),
    capabilities: all,
    close: () => proxy.close(),
  };
}
