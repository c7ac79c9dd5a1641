/**
 * Orders from a real Kafka into a table on this disk, in Avro and in JSON: the whole program, and its parts on their own.
 *
 *   node bench/orders.ts [--orders 2000000] [--json]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { orderColumns } from '../localstack/orders.ts';
import { produceOrders } from '../localstack/produce.ts';
import { Localstack } from '../test/tools/localstack.ts';
import { type Cost, catchUp, mib, printTable, progress, type Summary, thousands } from './measure.ts';
import { fetchAll, laneParts } from './parts.ts';

const { values: options } = parseArgs({
  options: { orders: { type: 'string', default: '2000000' }, json: { type: 'boolean', default: false } },
});
const count = Number(options.orders);
const partitions = 6;
/** The parts run over this many: they are kept in memory. */
const sample = Math.min(count, 1_000_000);

interface Result {
  format: 'avro' | 'json';
  whole: Summary;
  fetch: Cost;
  parts: Record<string, Cost>;
}

async function measure(format: 'avro' | 'json', stack: Localstack): Promise<Result> {
  const brokers = stack.env['FRAZIL_BROKERS']!;
  const registry = stack.env['FRAZIL_REGISTRY']!;
  const folder = mkdtempSync(join(tmpdir(), 'frazil-bench-'));
  try {
    const topic = `orders-${format}`;
    const small = `${topic}-sample`;
    const producing = { brokers, registry, partitions, format };
    progress(`${format}: producing`);
    await produceOrders({ ...producing, topic, count });
    await produceOrders({ ...producing, topic: small, count: sample });
    const value = format === 'avro' ? { format, registry: { url: registry } } : { format, epoch: 'us' };
    const table = {
      table: 'shop.orders',
      topics: [topic],
      create: true,
      schema: format === 'json' ? orderColumns : [],
    };
    const config = join(folder, 'frazil.yaml');
    writeFileSync(
      config,
      JSON.stringify({
        pipeline: topic,
        source: { brokers, topics: [topic] },
        decode: { value },
        catalog: { type: 'sqlite', path: 'catalog.db', warehouse: 'lake' },
        tables: [table],
      }),
    );
    progress(`${format}: landing`);
    const whole = await catchUp(config);
    if (whole.rows !== count) throw new Error(`${whole.rows} rows landed of ${count} orders`);
    progress(`${format}: the parts on their own`);
    const { sets, cost } = await fetchAll(brokers.split(','), small, partitions);
    const laneValue =
      format === 'avro'
        ? { format, registry: { url: registry } }
        : ({ format, envelope: 'none', epoch: 'us' } as const);
    return { format, whole, fetch: cost, parts: await laneParts(sets, laneValue) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print({ format, whole, fetch, parts }: Result): void {
  const perRecord = (cost: Cost, records: number): string => ((cost.cpuSeconds / records) * 1e9).toFixed(0);
  console.log(
    `\n${format}: ${thousands(whole.records)} orders, ${(whole.bytes / whole.records).toFixed(0)} bytes each`,
  );
  printTable([
    ['', 'records/s', 'MB/s', 'records per CPU-second', 'ns CPU per record', 'peak RSS MiB', 'seconds'],
    [
      'frazil run --until-caught-up',
      thousands(whole.records / whole.seconds),
      (whole.bytes / 1e6 / whole.seconds).toFixed(0),
      thousands(whole.records / whole.cpuSeconds),
      perRecord({ cpuSeconds: whole.cpuSeconds, wallSeconds: 0 }, whole.records),
      mib(whole.rssBytesPeak),
      whole.seconds.toFixed(1),
    ],
  ]);
  console.log('\n  parts on their own, ns CPU per record');
  printTable([
    ['fetch from Kafka', perRecord(fetch, sample)],
    ...Object.entries(parts).map(([name, cost]) => [name, perRecord(cost, sample)]),
  ]);
}

const stack = await Localstack.start(['kafka', 'registry']);
try {
  const results = [await measure('avro', stack), await measure('json', stack)];
  progress('');
  if (options.json) console.log(JSON.stringify(results, null, 2));
  else {
    console.log(
      `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model}, Kafka on the same machine`,
    );
    results.forEach(print);
  }
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('orders.json', folder), JSON.stringify(results, null, 2));
} finally {
  await stack.stop();
}
process.exit();
