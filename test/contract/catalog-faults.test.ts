import { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { MetastoreCatalog } from '../../src/catalog/metastore.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import { freshNamespace } from './catalog-bench.ts';
import { type CatalogBehindProxy, catalogFaultSuite } from './catalog-fault-suite.ts';
import { catalogStormSuite } from './catalog-storm-suite.ts';
import { httpPointers, PointerServer } from './pointer-server.ts';

async function open(): Promise<CatalogBehindProxy> {
  const server = await PointerServer.start();
  const proxy = await HttpProxy.start({ target: server.url });
  const files = new MemoryStore();
  const over =
    (url: string): CatalogBehindProxy['catalog'] =>
    (store) =>
      new MetastoreCatalog(httpPointers(url), 'memory://wh', {
        clock: systemClock,
        random: systemRandom,
        store,
      });
  return {
    catalog: over(proxy.url),
    direct: over(server.url),
    proxy,
    requests: { load: { method: 'GET' }, create: { method: 'PUT' }, commit: { method: 'POST' } },
    service: 'rest',
    store: files,
    namespace: () => freshNamespace(2),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 },
    close: async () => {
      await proxy.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

catalogFaultSuite('pointers behind HTTP', 'http', open);
catalogStormSuite('pointers behind HTTP', 'http', open);
