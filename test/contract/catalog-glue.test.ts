import { afterAll, beforeAll, vi } from 'vitest';
import { HttpProxy } from '../../localstack/lib/http-proxy.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { type GlueSettings, glueCatalog, gluePointers } from '../../src/catalog/glue.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import { GlueDouble } from '../unit/catalog/glue-double.ts';
import { type CatalogUnderTest, freshNamespace } from './catalog-bench.ts';
import { type CatalogBehindProxy, catalogFaultSuite } from './catalog-fault-suite.ts';
import { catalogStormSuite } from './catalog-storm-suite.ts';
import { catalogSuite } from './catalog-suite.ts';
import { changeForeign, withColumn } from './foreign.ts';

/** The Glue catalog over a double that is as strict as AWS; test/integration/catalog/glue.test.ts has MiniStack. */

beforeAll(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
afterAll(() => vi.unstubAllEnvs());

async function open(): Promise<CatalogBehindProxy & CatalogUnderTest> {
  const glue = await GlueDouble.start();
  const proxy = await HttpProxy.start({ target: glue.endpoint });
  const files = new MemoryStore();
  const settings = (endpoint: string): GlueSettings & { warehouse: string } => ({
    endpoint,
    region: 'us-east-1',
    warehouse: 's3://lake/wh',
    createDatabase: true,
    skipNameValidation: false,
  });
  const over =
    (endpoint: string): CatalogBehindProxy['catalog'] =>
    (store) =>
      glueCatalog(settings(endpoint), { clock: systemClock, random: systemRandom, store });
  const pointers = gluePointers(settings(glue.endpoint));
  const action = (name: string): { headers: Record<string, string> } => ({
    headers: { 'x-amz-target': `AWSGlue.${name}$` },
  });
  return {
    catalog: over(proxy.url),
    direct: over(glue.endpoint),
    proxy,
    requests: { load: action('GetTable'), create: action('CreateTable'), commit: action('UpdateTable') },
    service: 'glue',
    store: files,
    namespace: () => freshNamespace(1),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 1 },
    drop: async ({ namespace, name }) => glue.drop(namespace[0]!, name),
    addColumn: (identifier, name) =>
      changeForeign(pointers, files, identifier, (metadata) => withColumn(metadata, name)),
    close: async () => {
      await pointers.close();
      await proxy.close();
      await glue[Symbol.asyncDispose]();
    },
  };
}

catalogSuite('Glue', open);
catalogFaultSuite('Glue', 'http', open);
catalogStormSuite('Glue', 'http', open);
