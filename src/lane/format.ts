import type { Column } from '../arrow/columns.ts';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { avroDecoder, avroKeyDecoder } from '../decode/avro.ts';
import type { Decoder } from '../decode/decoder.ts';
import { jsonDecoder } from '../decode/json.ts';
import { bytesDecoder, rawJsonDecoder, textDecoder } from '../decode/plain.ts';
import { type RegistryOptions, registryClient, type SchemaSource } from '../decode/registry.ts';
import type { Field } from '../iceberg/types.ts';

/** How values are encoded. Plain data: it crosses threads. */
export type ValueFormat =
  | { format: 'avro'; registry: RegistryOptions }
  | { format: 'json'; envelope: 'none' | 'connect'; epoch: 's' | 'ms' | 'us' | 'ns' };

export type KeyFormat =
  | { format: 'bytes' | 'string' | 'json' }
  | { format: 'avro'; registry: RegistryOptions };

export interface FormatPorts {
  clock: Clock;
  random: Random;
  log: Log;
  fetch: typeof fetch;
}

/** One client per registry: tables share its cache. */
export function schemaSourceOf(
  options: RegistryOptions,
  registries: Map<string, SchemaSource>,
  ports: FormatPorts,
): SchemaSource {
  let source = registries.get(options.url);
  if (!source) {
    source = registryClient(options, ports);
    registries.set(options.url, source);
  }
  return source;
}

export function valueDecoder(
  format: ValueFormat,
  fields: readonly Field[],
  columns: readonly Column[],
  registries: Map<string, SchemaSource>,
  ports: FormatPorts,
): Decoder {
  if (format.format === 'json')
    return jsonDecoder(fields, columns, { envelope: format.envelope, epoch: format.epoch }, (member) =>
      ports.log.warn('a member of the JSON has no column and is not landed', { member }),
    );
  return avroDecoder(schemaSourceOf(format.registry, registries, ports), fields, columns, ports.log);
}

export function keyDecoder(
  format: KeyFormat,
  field: Field,
  column: Column,
  registries: Map<string, SchemaSource>,
  ports: FormatPorts,
): Decoder {
  if (format.format === 'avro')
    return avroKeyDecoder(schemaSourceOf(format.registry, registries, ports), field, column);
  assert(column.kind === 'bytes', `a ${format.format} key goes into a string or binary column`);
  if (format.format === 'json') return rawJsonDecoder(column);
  return format.format === 'string' ? textDecoder(column) : bytesDecoder(column);
}
