import type { FaultRule } from '../../../localstack/lib/faults.ts';
import { HttpProxy } from '../../../localstack/lib/http-proxy.ts';
import { TcpProxy } from '../../../localstack/lib/tcp-proxy.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { type GlueSettings, glueCatalog } from '../../../src/catalog/glue.ts';
import { postgresCatalog } from '../../../src/catalog/postgres.ts';
import { RestCatalog } from '../../../src/catalog/rest.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import type { CatalogBehindProxy } from '../../contract/catalog-fault-suite.ts';
import { type Capabilities, freshNamespace, type TestedCatalog } from '../../contract/tested-catalog.ts';
import type { RestServer } from '../../tools/rest-servers.ts';

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

/** `endpoint`: of MiniStack. The files are in memory. Credentials come from the environment; any will do. */
export async function glueBehindProxy(endpoint: string): Promise<CatalogBehindProxy> {
  const proxy = await HttpProxy.start({ target: endpoint });
  const settings: Omit<GlueSettings, 'endpoint'> & { warehouse: string } = {
    region: 'us-east-1',
    warehouse: 'memory://wh',
    createDatabase: true,
    skipNameValidation: false,
  };
  const over =
    (at: string): CatalogBehindProxy['catalog'] =>
    (store) =>
      glueCatalog({ ...settings, endpoint: at }, { ...ports, store });
  const operation = (name: string): Pick<FaultRule, 'headers'> => ({
    headers: { 'x-amz-target': `AWSGlue.${name}$` },
  });
  return {
    catalog: over(proxy.url),
    direct: over(endpoint),
    proxy,
    requests: {
      load: operation('GetTable'),
      create: operation('CreateTable'),
      commit: operation('UpdateTable'),
    },
    service: 'glue',
    store: new MemoryStore(),
    namespace: () => freshNamespace(1),
    capabilities: { ...metastore, namespaceLevels: 1 },
    close: () => proxy.close(),
  };
}

export async function restBehindProxy(
  { settings, store }: Pick<RestServer, 'settings' | 'store'>,
  capabilities: Partial<Capabilities> = {},
): Promise<CatalogBehindProxy> {
  const { origin } = new URL(settings.uri);
  const proxy = await HttpProxy.start({ target: origin });
  const over =
    (uri: string): CatalogBehindProxy['catalog'] =>
    () =>
      new RestCatalog({ ...settings, uri }, { ...ports, fetch });
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
    namespace: () => freshNamespace(2),
    capabilities: { ...metastore, serverWritesMetadata: true, ...capabilities },
    close: () => proxy.close(),
  };
}

/** The same catalog past its proxy. */
export function past(catalog: CatalogBehindProxy): TestedCatalog {
  return { ...catalog, catalog: catalog.direct };
}
