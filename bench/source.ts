/**
 * How fast records come from Kafka, beside other clients, in one run: each reads the same topics to their ends in a
 * process of its own, in turns, three times; the medians count.
 *
 *   node bench/source.ts [--records 2000000] [--rounds 3] [--clients frazil,platformatic,kafkajs,confluent]
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { produceOrders } from '../localstack/produce.ts';
import { Localstack } from '../test/tools/localstack.ts';
import { mib, printTable, progress, thousands } from './measure.ts';
import type { Client, Reading } from './source-reader.ts';

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '2000000' },
    rounds: { type: 'string', default: '3' },
    clients: { type: 'string', default: 'frazil,platformatic,kafkajs,confluent' },
  },
});
const records = Number(options.records);
const codecs = ['none', 'lz4', 'zstd'] as const;
const partitions = 8;
const here = fileURLToPath(new URL('.', import.meta.url));

/** kafkajs comes without codecs. */
const cannot = (client: Client, codec: string): boolean => client === 'kafkajs' && codec !== 'none';

interface Cell {
  client: Client;
  codec: string;
  readings: Reading[];
}

function installRivals(): void {
  if (existsSync(new URL('rivals/node_modules', import.meta.url))) return;
  progress('installing other clients');
  execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: `${here}rivals`,
    stdio: 'inherit',
  });
}

/** Confluent's is not where its sources cannot be downloaded. */
function isThere(client: Client): boolean {
  const built = new URL('rivals/node_modules/@confluentinc/kafka-javascript/build/Release', import.meta.url);
  if (client !== 'confluent' || existsSync(built)) return true;
  console.log('confluent is left out: it could not be installed');
  return false;
}

function read(client: Client, brokers: string, topic: string): Reading {
  const args = [`${here}source-reader.ts`, client, brokers, topic, String(records)];
  const output = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 300_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1)!) as Reading;
}

const rateOf = (reading: Reading): number => reading.records / reading.seconds;

function median(readings: readonly Reading[]): Reading {
  return readings.toSorted((a, b) => rateOf(a) - rateOf(b))[readings.length >> 1]!;
}

function print(cells: readonly Cell[]): void {
  for (const codec of codecs) {
    const rows = cells
      .filter((cell) => cell.codec === codec)
      .map(({ client, readings }) => ({ client, reading: median(readings) }));
    const ours = rows.find(({ client }) => client === 'frazil')?.reading;
    console.log(`\n${codec === 'none' ? 'uncompressed' : codec}`);
    printTable([
      ['', 'records/s', 'MB/s', 'CPU-s per million', 'peak RSS MiB', 'frazil is faster by'],
      ...rows.map(({ client, reading }) => [
        client,
        thousands(rateOf(reading)),
        (reading.bytes / 1e6 / reading.seconds).toFixed(0),
        ((reading.cpuSeconds / reading.records) * 1e6).toFixed(2),
        mib(reading.rssBytesPeak),
        ours && client !== 'frazil' ? `${(rateOf(ours) / rateOf(reading)).toFixed(1)}x` : '',
      ]),
    ]);
  }
}

installRivals();
const clients = (options.clients.split(',') as Client[]).filter(isThere);
const stack = await Localstack.start(['kafka', 'registry']);
try {
  const brokers = stack.env['FRAZIL_BROKERS']!;
  const registry = stack.env['FRAZIL_REGISTRY']!;
  for (const codec of codecs) {
    progress(`producing ${codec}`);
    const topic = `source-${codec}`;
    await produceOrders({ brokers, registry, topic, partitions, count: records, format: 'avro', codec });
  }
  const cells: Cell[] = codecs.flatMap((codec) =>
    clients.filter((client) => !cannot(client, codec)).map((client) => ({ client, codec, readings: [] })),
  );
  for (let round = 1; round <= Number(options.rounds); round++)
    for (const { client, codec, readings } of cells) {
      progress(`round ${round}: ${client}, ${codec}`);
      readings.push(read(client, brokers, `source-${codec}`));
    }
  progress('');
  console.log(
    `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model}, Kafka on the same machine; ` +
      `${thousands(records)} Avro orders, ${partitions} partitions`,
  );
  print(cells);
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL('source.json', folder), JSON.stringify(cells, null, 2));
} finally {
  await stack.stop();
}
process.exit();
