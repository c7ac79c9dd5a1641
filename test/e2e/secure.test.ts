import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Lake } from '../tools/frazil.ts';
import { orders, ordersConfig } from '../tools/pipeline.ts';
import { type Acl, SecureKafka } from '../tools/secure-kafka.ts';

/** The program on a broker behind TLS and SCRAM, with the least rights that docs/kafka-security.md lists. */

const password = 'v3ry-s3cret';
const rows = 200;
let kafka: SecureKafka;

beforeAll(async () => {
  kafka = await SecureKafka.start();
  await kafka.addUser('lander', password, 'SCRAM-SHA-512');
});
afterAll(() => kafka[Symbol.asyncDispose]());

/** A configuration as users have it: secrets in files. */
function config(pipeline: string, secret = password): object {
  const { source, ...rest } = ordersConfig(pipeline, {
    brokers: kafka.address('secure'),
    registry: inject('registry'),
  }) as { source: object };
  return {
    ...rest,
    source: {
      ...source,
      tls: { ca: { file: kafka.file('ca.pem', kafka.authority.cert) } },
      sasl: {
        mechanism: 'SCRAM-SHA-512',
        username: 'lander',
        password: { file: kafka.file(`${pipeline}.password`, `${secret}\n`) },
      },
      accessGrace: '1s',
    },
  };
}

const right = (operation: Acl['operation'], type: Acl['type'], name: string): Acl => ({
  principal: 'User:lander',
  operation,
  type,
  name,
});

async function examine(lake: Lake): Promise<Record<string, { status: string; found: string; fix?: string }>> {
  const run = lake.start('doctor', '--json');
  await run.exit;
  const { findings } = JSON.parse(run.stdout) as {
    findings: { what: string; status: string; found: string; fix?: string }[];
  };
  return Object.fromEntries(findings.map((finding) => [finding.what, finding]));
}

test('doctor names each missing right, and with no more than these everything lands', async () => {
  const pipeline = 'guarded';
  await orders(pipeline, { brokers: kafka.address('plain'), registry: inject('registry') }, rows);
  using lake = new Lake(config(pipeline));
  const denied = await examine(lake);
  expect(denied['brokers']).toMatchObject({
    status: 'ok',
    found: expect.stringMatching(/ answer; to them we are User:lander$/),
  });
  expect(denied['topic guarded']).toMatchObject({
    status: 'failed',
    found:
      'asking for the metadata of guarded: TOPIC_AUTHORIZATION_FAILED for User:lander on topic guarded: grant this principal READ and DESCRIBE on the topic',
  });
  expect(denied['group']).toMatchObject({
    status: 'failed',
    found:
      'looking for the coordinator of group guarded: GROUP_AUTHORIZATION_FAILED for User:lander: grant this principal READ on the group',
  });
  // Enough to see them, but not to read.
  await kafka.grant(right('DESCRIBE', 'TOPIC', pipeline), right('DESCRIBE', 'GROUP', pipeline));
  const described = await examine(lake);
  expect(described['topic guarded']!.found).toContain(
    'reading topic guarded: TOPIC_AUTHORIZATION_FAILED for User:lander on topic guarded',
  );
  expect(described['group']!.found).toContain(
    'asking for the right to read as group guarded: GROUP_AUTHORIZATION_FAILED for User:lander',
  );
  const refused = lake.start('run', '--until-caught-up');
  expect(await refused.exit).toBe(1);
  expect(refused.stderr).toContain('AUTHORIZATION_FAILED for User:lander');

  await kafka.grant(right('READ', 'TOPIC', pipeline), right('READ', 'GROUP', pipeline));
  const granted = await examine(lake);
  expect(granted['group']!.status).toBe('ok');
  expect(granted['topic guarded']).toMatchObject({
    status: 'ok',
    found: expect.stringContaining('retention.ms is not told (DESCRIBE_CONFIGS on the topic would show it)'),
  });
  expect((await lake.catchUp())['rows']).toBe(rows);
  const inspected = JSON.parse(await lake.call('inspect', 'shop.orders', '--json'));
  expect(inspected.totals.rows).toBe(rows);
  expect(await lake.call('peek', '-n', '1')).toContain('shop.orders');
  await kafka.grant(right('DESCRIBE_CONFIGS', 'TOPIC', pipeline));
  expect((await examine(lake))['topic guarded']!.found).toMatch(/readable; (kept|retention\.ms)/);
});

test('a wrong password ends the program with one message, which does not show it', async () => {
  using lake = new Lake(config('unknown', 'wr0ng-s3cret'));
  const begin = performance.now();
  const run = lake.start('run');
  expect(await run.exit).toBe(1);
  expect(performance.now() - begin).toBeLessThan(30_000);
  const message =
    /connecting to localhost:\d+: the broker refuses User:lander with SCRAM-SHA-512 \(.*\): check source\.sasl\.username and password/;
  const last = run.stderr.trim().split('\n').at(-1)!;
  expect(last).toMatch(message);
  expect(last.match(/Connection to|SASL authentication failed/g)).toBeNull();
  const findings = await examine(lake);
  expect(findings['brokers']).toMatchObject({ status: 'failed', found: expect.stringMatching(message) });
  expect(findings['topic unknown']!.status).toBe('skipped');
  for (const text of [run.stderr, run.stdout, JSON.stringify(findings)]) expect(text).not.toContain('s3cret');
});
