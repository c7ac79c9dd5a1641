import type { AvroRecord, AvroSchema } from './avro-file.ts';

type Field = { name: string; type: AvroSchema; 'field-id'?: number };
type Named = { type: string; fields?: Field[]; items?: AvroSchema };

/** Changes a value, or throws where that would lose something. */
export type Conversion = (value: unknown) => unknown;

/** `block_size_in_bytes`: required in format version 1, and of no meaning to anyone (spec "Manifests"). */
const meaningless = new Set([105]);

/**
 * How records of another writer become records of a schema of ours: fields are found by their ids, as names differ
 * between writers and versions. What is missing is null.
 * @throws {Error} from the conversion, for a field with a value that the schema has no place for
 */
export function conversionOf(from: AvroSchema, to: AvroSchema): Conversion {
  if (Array.isArray(to)) {
    const stored = Array.isArray(from) ? from.find((branch) => branch !== 'null') : from;
    const convert = conversionOf(stored!, to.find((branch) => branch !== 'null')!);
    return (value) => (value === null || value === undefined ? null : convert(value));
  }
  const stored = (Array.isArray(from) ? from.find((branch) => branch !== 'null') : from) as Named;
  const target = to as unknown as Named;
  if (target.fields) return recordConversion(stored.fields ?? [], target.fields);
  if (target.items !== undefined) {
    const convert = conversionOf(stored.items!, target.items);
    return (value) => (value as unknown[]).map(convert);
  }
  return (value) => value;
}

function recordConversion(from: readonly Field[], to: readonly Field[]): Conversion {
  const parts = to.map((field) => {
    const stored = from.find((each) => each['field-id'] === field['field-id']);
    return { field, stored, convert: stored && conversionOf(stored.type, field.type) };
  });
  const known = new Set(parts.map(({ stored }) => stored));
  const others = from.filter((field) => !known.has(field) && !meaningless.has(field['field-id'] ?? -1));
  return (value) => {
    const record = value as AvroRecord;
    for (const { name } of others)
      if (record[name] !== null && record[name] !== undefined)
        throw new Error(`there is no place for ${name}`);
    return Object.fromEntries(
      parts.map(({ field, stored, convert }) => {
        const member = stored && record[stored.name];
        if (stored && member === undefined) throw new Error(`${stored.name} is missing`);
        return [field.name, convert ? convert(member) : null];
      }),
    );
  };
}
