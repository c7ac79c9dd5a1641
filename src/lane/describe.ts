import { FatalError } from '../base/errors.ts';
import { wireSchemaId } from '../decode/avro.ts';
import { fieldFromAvro, fieldsFromAvro } from '../decode/avro-fields.ts';
import { type AvroType, parseAvroSchema } from '../decode/avro-type.ts';
import type { SchemaSource } from '../decode/registry.ts';
import type { Field } from '../iceberg/types.ts';
import { RecordSetReader } from '../kafka/record-set.ts';
import type { RecordSet } from '../kafka/source.ts';
import { type FormatPorts, schemaSourceOf } from './format.ts';
import type { DescribePlan } from './lane.ts';

/** The columns that the first telling record of a set asks for: those of its value, then its key's. */
export async function describe(
  set: RecordSet,
  plan: DescribePlan,
  ports: FormatPorts,
  registries: Map<string, SchemaSource>,
): Promise<Field[] | undefined> {
  if (plan.value.format !== 'avro') throw new FatalError('only Avro schemas tell the columns of a table');
  const values = schemaSourceOf(plan.value.registry, registries, ports);
  const reader = new RecordSetReader(
    Buffer.from(set.records.buffer, set.records.byteOffset, set.records.byteLength),
    set.from,
    set.aborted,
  );
  while (reader.read()) {
    const { columns } = reader;
    for (let i = 0; i < columns.count; i++) {
      const valueId = wireSchemaId(columns.bytes, columns.valueStarts[i]!, columns.valueLengths[i]!);
      if (valueId === undefined) continue; // a tombstone, or bad: append will say so
      const fields = fieldsFromAvro(await writerSchema(values, valueId));
      if (plan.keyColumn === undefined) return fields;
      if (plan.key.format !== 'avro') return fields.concat(plainKeyField(plan.keyColumn, plan.key.format));
      const keyId = wireSchemaId(columns.bytes, columns.keyStarts[i]!, columns.keyLengths[i]!);
      if (keyId === undefined) continue;
      const keys = schemaSourceOf(plan.key.registry, registries, ports);
      // A record may come without a key, whatever the key's schema says.
      return fields.concat({
        ...fieldFromAvro(plan.keyColumn, await writerSchema(keys, keyId)),
        required: false,
      });
    }
  }
  return undefined;
}

async function writerSchema(schemas: SchemaSource, id: number): Promise<AvroType> {
  const schema = await schemas.get(id);
  return parseAvroSchema(schema.text, schema.references);
}

/** The column for a key that is not Avro. */
export function plainKeyField(name: string, format: 'bytes' | 'string' | 'json'): Field {
  return { id: 0, name, required: false, type: { kind: format === 'bytes' ? 'binary' : 'string' } };
}
