import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { sqliteCatalog } from '../../../src/catalog/sqlite.ts';
import { MemoryStore } from '../../../src/storage/memory.ts';
import { freshNamespace } from '../../contract/catalog-bench.ts';
import { catalogRaceSuite } from '../../contract/catalog-race-suite.ts';
import { Localstack } from '../../tools/localstack.ts';
import { apacheServer, nessieServer, seaweedServer } from '../../tools/rest-servers.ts';
import { glueBehindProxy, past, postgresBehindProxy, restBehindProxy } from './behind-proxy.ts';

let stack: Localstack;
let folder = '';
beforeAll(async () => {
  stack = await Localstack.start(['postgres', 'iceberg-rest', 'ministack', 'seaweedfs']);
  await stack.up('--nessie-port', '0', '--nessie-endpoint', stack.env['FRAZIL_SEAWEEDFS_S3']!, 'nessie');
  folder = await mkdtemp(join(tmpdir(), 'frazil-races-'));
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
  await stack?.stop();
});

catalogRaceSuite('SQLite', async () => ({
  catalog: (store) =>
    sqliteCatalog(
      { path: join(folder, 'lake.db'), name: 'lake', warehouse: 'memory://wh' },
      { clock: systemClock, random: systemRandom, store },
    ),
  store: new MemoryStore(),
  namespace: () => freshNamespace(2),
  capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 },
  close: async () => {},
}));
catalogRaceSuite('PostgreSQL', async () => past(await postgresBehindProxy(stack.env['FRAZIL_POSTGRES']!)));
catalogRaceSuite('Glue', async () => past(await glueBehindProxy(stack.env['FRAZIL_AWS']!)));

/** These answer a tenth as often; `make bench-catalogs` has 200 commits of each on them, too. */
const fewer = { commits: 40 };
catalogRaceSuite('Apache’s REST server', async () => past(await restBehindProxy(apacheServer(stack))), fewer);
catalogRaceSuite(
  'SeaweedFS',
  async () => past(await restBehindProxy(seaweedServer(stack), { dropPurges: true })),
  fewer,
);
catalogRaceSuite(
  'Nessie',
  async () => past(await restBehindProxy(nessieServer(stack), { history: 'newest', locationVaries: true })),
  fewer,
);
