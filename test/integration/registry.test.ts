import { expect, inject, test } from 'vitest';
import { Columns } from '../../src/arrow/columns.ts';
import { valueAt } from '../../src/arrow/values.ts';
import { systemClock } from '../../src/base/clock.ts';
import { NotFoundError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { avroDecoder } from '../../src/decode/avro.ts';
import { fieldsFromAvro } from '../../src/decode/avro-fields.ts';
import { parseAvroSchema } from '../../src/decode/avro-type.ts';
import { DecodeError } from '../../src/decode/decoder.ts';
import { registryClient } from '../../src/decode/registry.ts';
import { RecordColumns } from '../../src/kafka/record-columns.ts';
import { append } from '../unit/decode/entries.ts';

const url = inject('registry');
const client = registryClient({ url }, { clock: systemClock, random: systemRandom, log: silentLog, fetch });

async function register(
  subject: string,
  schema: object,
  references: { name: string; subject: string; version: number }[] = [],
): Promise<number> {
  const response = await fetch(`${url}/subjects/${encodeURIComponent(subject)}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema), references }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { id: number }).id;
}

const city = { type: 'record', name: 'City', namespace: 'geo', fields: [{ name: 'name', type: 'string' }] };
const address = {
  type: 'record',
  name: 'Address',
  namespace: 'geo',
  fields: [
    { name: 'street', type: ['null', 'string'], default: null },
    { name: 'city', type: 'City' },
  ],
};
const person = {
  type: 'record',
  name: 'Person',
  namespace: 'people',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'home', type: 'geo.Address' },
    { name: 'born', type: ['null', 'geo.City'], default: null },
  ],
};

test('a schema with references is had whole, and records written with it are read', async () => {
  await register('geo/city', city);
  await register('geo-address', address, [{ name: 'geo.City', subject: 'geo/city', version: 1 }]);
  const id = await register('person-value', person, [
    { name: 'geo.Address', subject: 'geo-address', version: 1 },
    { name: 'geo.City', subject: 'geo/city', version: 1 },
  ]);
  const registered = await client.get(id);
  expect(registered.type).toBe('AVRO');
  expect(registered.references.map((text) => JSON.parse(text).name)).toEqual(['City', 'Address']);

  const fields = fieldsFromAvro(parseAvroSchema(registered.text, registered.references));
  const table = new Columns({ schemaId: 0, fields });
  const decoder = avroDecoder(client, fields, table.columns, silentLog);
  const text = (value: string): number[] => [value.length * 2, ...Buffer.from(value)];
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  const bytes = Buffer.from([...header, 2, 2, ...text('Main'), ...text('Ulm'), 0]);
  await decoder.prepare(oneRecord(bytes));
  append(decoder, bytes, Buffer.alloc(16));
  expect(fields.map(({ type }, i) => valueAt(table.columns[i]!, 0, type))).toEqual([
    1,
    { street: 'Main', city: { name: 'Ulm' } },
    null,
  ]);
});

test('an id that it does not have is the fault of the record', async () => {
  await expect(client.get(2_000_000_000)).rejects.toThrow(NotFoundError);
  const fields = fieldsFromAvro(parseAvroSchema(JSON.stringify(city)));
  const table = new Columns({ schemaId: 0, fields });
  const decoder = avroDecoder(client, fields, table.columns, silentLog);
  const bytes = Buffer.from([0, 0x77, 0x35, 0x94, 0, 2]);
  await decoder.prepare(oneRecord(bytes));
  expect(() => append(decoder, bytes, Buffer.alloc(16))).toThrow(
    new DecodeError('', 'schema 2000000000 is not in the registry'),
  );
});

test('another path of the same server is not the registry', async () => {
  const elsewhere = registryClient(
    { url: new URL('/not/the/registry', url).href },
    { clock: systemClock, random: systemRandom, log: silentLog, fetch },
  );
  await expect(elsewhere.get(1)).rejects.toThrow(/HTTP 404.*: check decode\.\*\.registry\.url/);
});

function oneRecord(bytes: Buffer): RecordColumns {
  const records = new RecordColumns();
  records.count = 1;
  records.bytes = bytes;
  records.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  records.valueStarts[0] = 0;
  records.valueLengths[0] = bytes.length;
  return records;
}
