/**
 * How many commits a second each catalog takes: from one committer, and from eight at the same table.
 *
 *   node bench/catalogs.ts [--commits 200] [--only SQLite,Glue]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { systemRandom } from '../src/base/random.ts';
import { sqliteCatalog } from '../src/catalog/sqlite.ts';
import { unpartitioned } from '../src/iceberg/partition-spec.ts';
import { MemoryStore } from '../src/storage/memory.ts';
import { race } from '../test/contract/race.ts';
import { freshNamespace, type TestedCatalog } from '../test/contract/tested-catalog.ts';
import {
  glueBehindProxy,
  past,
  postgresBehindProxy,
  restBehindProxy,
} from '../test/integration/catalog/behind-proxy.ts';
import { Localstack } from '../test/tools/localstack.ts';
import { apacheServer, nessieServer, seaweedServer } from '../test/tools/rest-servers.ts';
import { costOf } from './measure.ts';

const { values } = parseArgs({
  options: { commits: { type: 'string', default: '200' }, only: { type: 'string' } },
});
const commits = Number(values.commits);
process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

const folder = mkdtempSync(join(tmpdir(), 'frazil-catalogs-'));
await using stack = await Localstack.start(['postgres', 'ministack', 'iceberg-rest', 'seaweedfs']);
await stack.up('--nessie-port', '0', '--nessie-endpoint', stack.env['FRAZIL_SEAWEEDFS_S3']!, 'nessie');

function sqlite(): TestedCatalog {
  const options = { path: join(folder, 'lake.db'), name: 'lake', warehouse: 'memory://wh' };
  return {
    catalog: (store) => sqliteCatalog(options, { clock: systemClock, random: systemRandom, store }),
    store: new MemoryStore(),
    namespace: () => freshNamespace(2),
    capabilities: { serverWritesMetadata: false, history: 'all', namespaceLevels: 2 },
    close: async () => {},
  };
}

const catalogs: Record<string, () => Promise<TestedCatalog>> = {
  SQLite: async () => sqlite(),
  PostgreSQL: async () => past(await postgresBehindProxy(stack.env['FRAZIL_POSTGRES']!)),
  Glue: async () => past(await glueBehindProxy(stack.env['FRAZIL_AWS']!)),
  Apache: async () => past(await restBehindProxy(apacheServer(stack))),
  SeaweedFS: async () => past(await restBehindProxy(seaweedServer(stack))),
  Nessie: async () => past(await restBehindProxy(nessieServer(stack))),
};

/** So many committers, each of a client of its own, at one new table. */
async function measure(under: TestedCatalog, committers: number): Promise<string[]> {
  const table = { namespace: under.namespace(), name: 'raced' };
  const clients = await Promise.all(Array.from({ length: committers }, () => under.catalog(under.store)));
  await clients[0]!.create(table, {
    fields: [{ id: 0, name: 'id', required: true, type: { kind: 'long' } }],
    spec: () => unpartitioned,
    properties: {},
  });
  let rejected = 0;
  const cost = await costOf(async () => {
    const raced = await Promise.all(clients.map((client, i) => race(client, table, i, commits)));
    for (const each of raced) rejected += each.rejected;
  });
  const count = committers * commits;
  const { metadata } = (await clients[0]!.load(table))!;
  // Each commit takes the next sequence number: what was lost would be missing here.
  if (metadata['last-sequence-number'] !== count)
    throw new Error(`${count} commits were applied, the table has had ${metadata['last-sequence-number']}`);
  for (const client of clients) await client.close();
  return [
    (count / cost.wallSeconds).toFixed(1),
    (rejected / count).toFixed(2),
    ((cost.cpuSeconds * 1000) / count).toFixed(1),
  ];
}

console.log(`${commits} commits of each committer\n`);
console.log(
  '| catalog | 1 committer: commits/s | CPU ms each | 8: commits/s | refused per commit | CPU ms each |',
);
console.log('| --- | --- | --- | --- | --- | --- |');
for (const [name, open] of Object.entries(catalogs)) {
  if (values.only && !values.only.split(',').includes(name)) continue;
  const under = await open();
  const [alone, , aloneCpu] = await measure(under, 1);
  const together = await measure(under, 8);
  await under.close();
  console.log(`| ${[name, alone, aloneCpu, ...together].join(' | ')} |`);
}
rmSync(folder, { recursive: true, force: true });
