import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HttpProxy } from '../../../localstack/lib/http-proxy.ts';
import { S3Store } from '../../../src/storage/s3.ts';
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
test('what S3 clients sign comes through the proxy: the store behind it checks every signature', async () => {
  await using proxy = await HttpProxy.start({ target: stack.env['FRAZIL_SEAWEEDFS_S3']! });
  const opened = (secretAccessKey: string): S3Store =>
    new S3Store({ endpoint: proxy.url }, async () => ({
      prefix: 's3://',
      accessKeyId: stack.env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!,
      secretAccessKey,
    }));
  const store = opened(stack.env['FRAZIL_SEAWEEDFS_SECRET_KEY']!);
  const location = `s3://${stack.env['FRAZIL_SEAWEEDFS_BUCKET']}/signed/größe ${Date.now()}.txt`;
  await store.put(location, [Buffer.from('through')]);
  expect(Buffer.from(await store.get(location)).toString()).toBe('through');
  await expect(opened('wrong').get(location)).rejects.toThrow(/SignatureDoesNotMatch/);
});

for (const [name, kind, open] of catalogs) {
  catalogFaultSuite(name, kind, open);
  catalogStormSuite(name, kind, open);
}
