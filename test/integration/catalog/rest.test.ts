import { afterAll, expect, test } from 'vitest';
import { type Capabilities, type CatalogUnderTest, freshNamespace } from '../../contract/catalog-bench.ts';
import { javaSuite } from '../../contract/catalog-java-suite.ts';
import { catalogSuite } from '../../contract/catalog-suite.ts';
import { Localstack } from '../../tools/localstack.ts';
import { apacheServer, nessieServer, type RestServer, seaweedServer } from '../../tools/rest-servers.ts';

const parts = await Localstack.start(['seaweedfs']);
await parts.up(
  ...[
    '--iceberg-rest-port',
    '0',
    '--nessie-port',
    '0',
    '--nessie-endpoint',
    parts.env['FRAZIL_SEAWEEDFS_S3']!,
  ],
  ...['iceberg-rest', 'nessie'],
);
afterAll(() => parts.stop());

const all: Capabilities = { serverWritesMetadata: true, history: 'all', namespaceLevels: 2 };
const servers: [string, RestServer, Capabilities][] = [
  ["Apache's REST server", apacheServer(parts), all],
  ['SeaweedFS', seaweedServer(parts), { ...all, dropPurges: true, lastCreatorWins: true }],
  [
    'Nessie',
    nessieServer(parts),
    { ...all, history: 'newest', firstCommitIsStrict: true, locationVaries: true },
  ],
];

for (const [name, server, capabilities] of servers) {
  const open = (levels: 1 | 2) => async (): Promise<CatalogUnderTest> => ({
    catalog: () => server.client(),
    store: server.store,
    namespace: () => freshNamespace(levels),
    capabilities,
    drop: server.drop,
    addColumn: server.addColumn,
    java: { name: 'lake', catalog: server.catalog },
    close: async () => {},
  });
  catalogSuite(name, open(capabilities.namespaceLevels));
  javaSuite(name, open(1));
}

test.each(servers)('%s was asked and has answered as specified', (_name, server) => {
  expect([...new Set(server.violations)]).toEqual([]);
});
