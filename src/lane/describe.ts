import { FatalError, messageOf, NotFoundError } from '../base/errors.ts';
import { notInRegistry, notWireFormat, wireSchemaId } from '../decode/avro.ts';
import { fieldFromAvro, fieldsFromAvro } from '../decode/avro-fields.ts';
import { type AvroType, parseAvroSchema } from '../decode/avro-type.ts';
import { DecodeError } from '../decode/decoder.ts';
import type { SchemaSource } from '../decode/registry.ts';
import type { Field } from '../iceberg/types.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import { RecordSetReader } from '../kafka/record-set.ts';
import type { RecordSet } from '../kafka/source.ts';
import { type FormatPorts, schemaSourceOf } from './format.ts';
import type { Described, DescribePlan, RecordFailure } from './lane.ts';
import { failureOf, tombstone } from './record-failure.ts';

/**
 * The columns that the first telling record of a set asks for: those of its value, then its key's. Records before it that
 * have no value or cannot be decoded stop the table or are left out, as they would be if it existed.
 */
export async function describe(
  set: RecordSet,
  plan: DescribePlan,
  ports: FormatPorts,
  registries: Map<string, SchemaSource>,
): Promise<Described> {
  if (plan.value.format !== 'avro') throw new FatalError('only Avro schemas tell the columns of a table');
  const values = schemaSourceOf(plan.value.registry, registries, ports);
  const reader = new RecordSetReader(
    Buffer.from(set.records.buffer, set.records.byteOffset, set.records.byteLength),
    set.from,
    set.aborted,
    set.batchBytesMax,
  );
  let undecodable = 0;
  let first: RecordFailure | undefined;
  while (reader.read()) {
    const { columns } = reader;
    for (let i = 0; i < columns.count; i++) {
      const isTombstone = columns.valueLengths[i]! < 0;
      if (isTombstone && plan.onTombstone === 'skip') continue;
      try {
        if (isTombstone) throw tombstone();
        const fields = await valueFields(columns, i, values);
        const keyField = await describeKey(columns, i, plan, registries, ports);
        if (keyField !== 'none')
          return { type: 'columns', fields: keyField ? [...fields, keyField] : fields };
      } catch (error) {
        // A registry that is down, or refuses us, is not the records' fault.
        if (!(error instanceof DecodeError)) throw error;
        const failure = failureOf(set, columns, i, error);
        if (isTombstone || plan.onError === 'halt') return { type: 'failure', failure };
        undecodable++;
        first ??= failure;
      }
    }
  }
  return { type: 'nothing', undecodable, first };
}

/** The column for a record's key; undefined when none takes it, `none` when this record has no key that could tell. */
async function describeKey(
  columns: RecordColumns,
  i: number,
  plan: DescribePlan,
  registries: Map<string, SchemaSource>,
  ports: FormatPorts,
): Promise<Field | undefined | 'none'> {
  if (plan.keyColumn === undefined) return undefined;
  if (plan.key.format !== 'avro') return plainKeyField(plan.keyColumn, plan.key.format);
  const keyId = wireSchemaId(columns.bytes, columns.keyStarts[i]!, columns.keyLengths[i]!);
  if (keyId === undefined) return 'none';
  const keys = schemaSourceOf(plan.key.registry, registries, ports);
  // A record may come without a key, whatever the key's schema says.
  const { keyColumn } = plan;
  return { ...(await columnsOf(keys, keyId, (schema) => fieldFromAvro(keyColumn, schema))), required: false };
}

async function valueFields(columns: RecordColumns, i: number, schemas: SchemaSource): Promise<Field[]> {
  const [start, length] = [columns.valueStarts[i]!, columns.valueLengths[i]!];
  const id = wireSchemaId(columns.bytes, start, length);
  if (id === undefined) throw notWireFormat(columns.bytes, start, start + length);
  return columnsOf(schemas, id, fieldsFromAvro);
}

/** What is wrong with a schema is wrong with each record that was written with it. @throws {DecodeError} */
async function columnsOf<T>(schemas: SchemaSource, id: number, make: (schema: AvroType) => T): Promise<T> {
  const schema = await schemas.get(id).catch((error) => {
    throw error instanceof NotFoundError ? notInRegistry(id) : error;
  });
  try {
    return make(parseAvroSchema(schema.text, schema.references));
  } catch (error) {
    throw new DecodeError('', `schema ${id}: ${messageOf(error)}`);
  }
}

/** The column for a key that is not Avro. */
export function plainKeyField(name: string, format: 'bytes' | 'string' | 'json'): Field {
  return { id: 0, name, required: false, type: { kind: format === 'bytes' ? 'binary' : 'string' } };
}
