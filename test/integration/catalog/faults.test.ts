import { afterAll, beforeAll } from 'vitest';
import { LocalStore } from '../../../src/storage/local.ts';
import { catalogFaultSuite } from '../../contract/catalog-fault-suite.ts';
import { catalogStormSuite } from '../../contract/catalog-storm-suite.ts';
import { Localstack } from '../../tools/localstack.ts';
import { postgresBehindProxy, restBehindProxy } from './behind-proxy.ts';

let stack: Localstack;
beforeAll(async () => {
  stack = await Localstack.start(['postgres', 'iceberg-rest']);
});
afterAll(() => stack?.stop());

const postgres = (): ReturnType<typeof postgresBehindProxy> =>
  postgresBehindProxy(stack.env['FRAZIL_POSTGRES']!);
catalogFaultSuite('PostgreSQL', 'sql', postgres);
catalogStormSuite('PostgreSQL', 'sql', postgres);

const rest = (): ReturnType<typeof restBehindProxy> =>
  restBehindProxy({ uri: stack.env['FRAZIL_ICEBERG_REST']! }, new LocalStore());
catalogFaultSuite('Apache’s REST server', 'http', rest);
catalogStormSuite('Apache’s REST server', 'http', rest);
