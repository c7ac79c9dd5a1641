import { FatalError, messageOf } from '../base/errors.ts';
import { firstPartitionFieldId, type PartitionSpec } from './partition-spec.ts';
import { type Schema, singleFields } from './schema.ts';
import { formatTransform, parseTransform, resultType, type Transform } from './transforms.ts';
import { isPrimitive, type Type, typeName } from './types.ts';

/**
 * How people say by what a new table is to be divided: `region`, `day(event_time)`, `bucket(16, order_id)`, as in
 * Spark's and Athena's DDL; Trino's order of arguments, `bucket(order_id, 16)`, is understood too.
 */
export interface PartitionTerm {
  column: string;
  transform: Transform;
  /** Of the partition field, as Spark names it. */
  name: string;
}

/** Why a term cannot be taken. `unknown`: the column that is not there. */
export interface RefusedTerm {
  problem: string;
  unknown?: string;
}

/** What Spark appends to a column's name. */
const suffixes = {
  year: '_year',
  month: '_month',
  day: '_day',
  hour: '_hour',
  bucket: '_bucket',
  truncate: '_trunc',
};

const functions: Readonly<Record<string, keyof typeof suffixes>> = {
  year: 'year',
  years: 'year',
  month: 'month',
  months: 'month',
  day: 'day',
  days: 'day',
  hour: 'hour',
  hours: 'hour',
  bucket: 'bucket',
  truncate: 'truncate',
};

/** The spec of a new table. @throws {FatalError} naming the term that cannot be taken. */
export function newSpec(schema: Schema, partitionBy: readonly string[]): PartitionSpec {
  const places = singleFields(schema.fields);
  const columns = new Map(places.map(({ name, field }) => [name, field.type]));
  const fields = readPartitionTerms(partitionBy, columns).map((term, i) => {
    if ('problem' in term) throw new FatalError(`partitioning by ${partitionBy[i]}: ${term.problem}`);
    const source = places.find((place) => place.name === term.column)!.field;
    const transform = formatTransform(term.transform);
    return { sourceId: source.id, fieldId: firstPartitionFieldId + i, name: term.name, transform };
  });
  return { specId: 0, fields };
}

/** By what a table is divided, in the same words. */
export function formatPartitionTerms(spec: PartitionSpec, schema: Schema): string[] {
  const places = singleFields(schema.fields);
  return spec.fields.map(({ sourceId, name, transform }) => {
    const column = places.find(({ field }) => field.id === sourceId)?.name ?? name;
    if (transform === 'identity') return column;
    const [, kind, width] = /^(\w+)\[(\d+)\]$/.exec(transform) ?? [];
    return kind === undefined ? `${transform}(${column})` : `${kind}(${width}, ${column})`;
  });
}

/** Reads what a table of `columns`, by name, is to be divided by. A type that is not known yet is undefined. */
export function readPartitionTerms(
  partitionBy: readonly string[],
  columns: ReadonlyMap<string, Type | undefined>,
): (PartitionTerm | RefusedTerm)[] {
  const terms: PartitionTerm[] = [];
  return partitionBy.map((text) => {
    try {
      const term = columns.has(text)
        ? { column: text, transform: { kind: 'identity' as const }, name: text }
        : parseTerm(text);
      if (!columns.has(term.column))
        return { problem: `there is no column ${term.column}`, unknown: term.column };
      checkType(term, columns.get(term.column));
      checkOthers(term, terms, columns);
      terms.push(term);
      return term;
    } catch (error) {
      return { problem: messageOf(error) };
    }
  });
}

function parseTerm(text: string): PartitionTerm {
  const [, name, inside] = /^\s*(\w+)\s*\(\s*(.*?)\s*\)\s*$/.exec(text) ?? [];
  if (name === undefined || inside === undefined) {
    if (!/[()]/.test(text)) return { column: text, transform: { kind: 'identity' }, name: text };
    throw new FatalError('expected a column or a transform, such as day(event_time) or bucket(16, order_id)');
  }
  const kind = functions[name.toLowerCase()];
  if (!kind)
    throw new FatalError(
      `there is no transform ${name}; known are year, month, day, hour, bucket and truncate`,
    );
  if (kind !== 'bucket' && kind !== 'truncate')
    return { column: inside, transform: parseTransform(kind), name: `${inside}${suffixes[kind]}` };
  const [, width, column] = /^(\d+)\s*,\s*(.+)$/.exec(inside) ?? [];
  const [, columnFirst, widthLast] = /^(.+?)\s*,\s*(\d+)$/.exec(inside) ?? [];
  const source = column ?? columnFirst;
  if (source === undefined)
    throw new FatalError(`${kind} needs a number and a column: ${kind}(${kind === 'bucket' ? 16 : 4}, code)`);
  const transform = parseTransform(`${kind}[${width ?? widthLast}]`);
  return { column: source, transform, name: `${source}${suffixes[kind]}` };
}

function checkType({ transform }: PartitionTerm, type: Type | undefined): void {
  if (!type) return;
  // Neither Java nor PyIceberg finds a uuid's partition: apache/iceberg#14216.
  if (!isPrimitive(type) || (type.kind === 'uuid' && transform.kind === 'identity'))
    throw new FatalError(`a ${typeName(type)} cannot be a partition value`);
  resultType(transform, type);
}

const ofTime = ['year', 'month', 'day', 'hour'];

/** What Java's library refuses in a spec, however it came about. */
function checkOthers(
  term: PartitionTerm,
  before: readonly PartitionTerm[],
  columns: ReadonlyMap<string, unknown>,
): void {
  const isOfTime = ofTime.includes(term.transform.kind);
  for (const other of before) {
    if (other.name === term.name) throw new FatalError('it is named twice');
    if (isOfTime && other.column === term.column && ofTime.includes(other.transform.kind))
      throw new FatalError(`the ${other.transform.kind} of ${term.column} divides the table already`);
  }
  if (term.name !== term.column && columns.has(term.name))
    throw new FatalError(`its partition field would be named ${term.name}, as a column is`);
}
