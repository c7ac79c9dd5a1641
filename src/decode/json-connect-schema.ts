import { DecodeError } from './decoder.ts';

/** Connect's types by all the names that they go by; JsonConverter itself writes `float` and `double`. */
const typesByName = {
  int8: 'int8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float: 'float32',
  float32: 'float32',
  double: 'float64',
  float64: 'float64',
  boolean: 'boolean',
  string: 'string',
  bytes: 'bytes',
  array: 'array',
  map: 'map',
  struct: 'struct',
} as const;

/** A Connect schema, in the JSON form of JsonConverter with `schemas.enable`. */
export type ConnectSchema = ConnectLeaf | ConnectArray | ConnectMap | ConnectStruct;

interface Common {
  /** What the values mean beyond their type, e.g. `org.apache.kafka.connect.data.Date`. */
  name: string | undefined;
  optional: boolean;
  /** JSON text of the value that a missing one stands for. */
  default: Buffer | undefined;
}

export interface ConnectLeaf extends Common {
  type: Exclude<(typeof typesByName)[keyof typeof typesByName], 'array' | 'map' | 'struct'>;
  /** The `scale` parameter, which a Decimal has. */
  scale: number | undefined;
}

interface ConnectArray extends Common {
  type: 'array';
  items: ConnectSchema;
}

export interface ConnectMap extends Common {
  type: 'map';
  keys: ConnectSchema;
  values: ConnectSchema;
}

export interface ConnectStruct extends Common {
  type: 'struct';
  fields: readonly { name: string; schema: ConnectSchema }[];
}

type Node = { [key: string]: unknown };

/** `int64 (io.debezium.time.MicroTimestamp)`, for messages. */
export function connectTypeName(schema: ConnectSchema): string {
  return schema.name === undefined ? schema.type : `${schema.type} (${schema.name})`;
}

// Source text access (ECMA-262 proposal, in V8 since Node 21) is not in TypeScript's library yet.
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

/**
 * Parses the JSON of a schema.
 * @throws {DecodeError} when it is no Connect schema.
 */
export function parseConnectSchema(json: string): ConnectSchema {
  // Numbers keep their text: defaults must not lose digits.
  return schemaFrom(
    parse(json, (_key, value, { source }) => (typeof value === 'number' ? rawJson(source ?? '') : value)),
    '',
  );
}

function schemaFrom(json: unknown, path: string): ConnectSchema {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new DecodeError(path, 'not a Connect schema: expected an object');
  const node = json as Node;
  const type = typeof node['type'] === 'string' ? connectType(node['type']) : undefined;
  if (type === undefined)
    throw new DecodeError(path, `not a Connect schema: unknown type ${JSON.stringify(node['type'])}`);
  const common: Common = {
    name: typeof node['name'] === 'string' ? node['name'] : undefined,
    optional: node['optional'] === true,
    default: node['default'] == null ? undefined : Buffer.from(JSON.stringify(node['default'])),
  };
  switch (type) {
    case 'array':
      return { ...common, type, items: schemaFrom(node['items'], `${path}[]`) };
    case 'map':
      return {
        ...common,
        type,
        keys: schemaFrom(node['keys'], `${path}{key}`),
        values: schemaFrom(node['values'], `${path}{}`),
      };
    case 'struct':
      return { ...common, type, fields: fieldsFrom(node['fields'], path) };
    default:
      return { ...common, type, scale: scaleFrom(node['parameters'], path) };
  }
}

function connectType(name: string): ConnectSchema['type'] | undefined {
  return Object.hasOwn(typesByName, name) ? typesByName[name as keyof typeof typesByName] : undefined;
}

function fieldsFrom(json: unknown, path: string): ConnectStruct['fields'] {
  if (!Array.isArray(json)) throw new DecodeError(path, 'not a Connect schema: a struct without fields');
  return json.map((node: Node | null) => {
    const name = node?.['field'];
    if (typeof name !== 'string') throw new DecodeError(path, 'not a Connect schema: a field without name');
    return { name, schema: schemaFrom(node, path === '' ? name : `${path}.${name}`) };
  });
}

function scaleFrom(parameters: unknown, path: string): number | undefined {
  const scale = (parameters as Node | null | undefined)?.['scale'];
  if (scale === undefined) return undefined;
  const text = typeof scale === 'string' ? scale : JSON.stringify(scale);
  if (!/^-?\d{1,4}$/.test(text)) throw new DecodeError(path, `not a Connect schema: the scale is ${text}`);
  return Number(text);
}
