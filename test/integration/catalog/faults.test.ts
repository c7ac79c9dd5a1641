import { afterAll, beforeAll, vi } from 'vitest';
import { type CatalogBehindProxy, catalogFaultSuite } from '../../contract/catalog-fault-suite.ts';
import { catalogStormSuite } from '../../contract/catalog-storm-suite.ts';
import { Localstack } from '../../tools/localstack.ts';
import { apacheServer, nessieServer, seaweedServer } from '../../tools/rest-servers.ts';
import { glueBehindProxy, postgresBehindProxy, restBehindProxy } from './behind-proxy.ts';

/** Real catalogs behind a network that fails. */

let stack: Localstack;
beforeAll(async () => {
  stack = await Localstack.start(['postgres', 'iceberg-rest', 'ministack', 'seaweedfs']);
  await stack.up('--nessie-port', '0', '--nessie-endpoint', stack.env['FRAZIL_SEAWEEDFS_S3']!, 'nessie');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await stack?.stop();
});

const catalogs: [string, 'http' | 'sql', () => Promise<CatalogBehindProxy>][] = [
  ['PostgreSQL', 'sql', () => postgresBehindProxy(stack.env['FRAZIL_POSTGRES']!)],
  ['Glue', 'http', () => glueBehindProxy(stack.env['FRAZIL_AWS']!)],
  ['Apache’s REST server', 'http', () => restBehindProxy(apacheServer(stack))],
  ['SeaweedFS', 'http', () => restBehindProxy(seaweedServer(stack), { dropPurges: true })],
  ['Nessie', 'http', () => restBehindProxy(nessieServer(stack), { history: 'newest', locationVaries: true })],
];
for (const [name, kind, open] of catalogs) {
  catalogFaultSuite(name, kind, open);
  catalogStormSuite(name, kind, open);
}
