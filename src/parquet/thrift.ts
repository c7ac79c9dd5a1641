import { FatalError } from '../base/errors.ts';
import { GrowingBytes } from './growing-bytes.ts';

/**
 * Thrift compact protocol as a generic tree: enough to read a Parquet footer, change a few of its fields and write it
 * back with all that is not known here untouched (apache/thrift doc/specs/thrift-compact-protocol.md).
 */
export interface ThriftField {
  id: number;
  type: number;
  value: ThriftValue;
}
export type ThriftStruct = ThriftField[];
export interface ThriftList {
  elementType: number;
  values: ThriftValue[];
}
/** Booleans, i8-i32 as number, i64 as bigint (to be written: or number), double as its 8 raw bytes, binary as bytes. */
export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftList | ThriftStruct;

export const thriftTypes = {
  true: 1,
  false: 2,
  i8: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  struct: 12,
} as const;

/** Reads one struct from the start of `bytes`. @throws {FatalError} for what Parquet footers do not contain. */
export function readThrift(bytes: Uint8Array): ThriftStruct {
  let position = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[position++];
      if (byte === undefined) throw new FatalError('reading Parquet footer: cut off');
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
  };
  const zigzag = (): bigint => {
    const n = varint();
    return (n >> 1n) ^ -(n & 1n);
  };
  const value = (type: number): ThriftValue => {
    switch (type) {
      case thriftTypes.i8:
        return (bytes[position++]! << 24) >> 24;
      case thriftTypes.i16:
      case thriftTypes.i32:
        return Number(zigzag());
      case thriftTypes.i64:
        return zigzag();
      case thriftTypes.double:
        return bytes.subarray(position, (position += 8));
      case thriftTypes.binary: {
        const length = Number(varint());
        return bytes.subarray(position, (position += length));
      }
      case thriftTypes.list:
      case thriftTypes.set: {
        const head = bytes[position++]!;
        const size = head >> 4 === 15 ? Number(varint()) : head >> 4;
        const elementType = head & 0x0f;
        return { elementType, values: Array.from({ length: size }, () => element(elementType)) };
      }
      case thriftTypes.struct:
        return struct();
      default:
        throw new FatalError(`reading Parquet footer: unexpected Thrift type ${type}`);
    }
  };
  // Inside a list a boolean takes a byte of its own; as a field it is in the type.
  const element = (type: number): ThriftValue => (type <= 2 ? bytes[position++] === 1 : value(type));
  const struct = (): ThriftStruct => {
    const fields: ThriftStruct = [];
    for (let id = 0; ; ) {
      const head = bytes[position++];
      if (head === undefined) throw new FatalError('reading Parquet footer: cut off');
      if (head === 0) return fields;
      const type = head & 0x0f;
      id = head >> 4 === 0 ? Number(zigzag()) : id + (head >> 4);
      fields.push({ id, type, value: type <= 2 ? type === thriftTypes.true : value(type) });
    }
  };
  return struct();
}

/** What structs are written to before their length is known. */
const scratch = new GrowingBytes(1024);

/** Writes one struct. */
export function writeThrift(root: ThriftStruct): Uint8Array {
  scratch.length = 0;
  writeStruct(scratch, root);
  return scratch.taken();
}

function writeStruct(out: GrowingBytes, fields: ThriftStruct): void {
  let last = 0;
  for (const field of fields) {
    const type = field.type <= 2 ? (field.value ? thriftTypes.true : thriftTypes.false) : field.type;
    const delta = field.id - last;
    if (delta > 0 && delta <= 15) {
      out.byte((delta << 4) | type);
    } else {
      out.byte(type);
      out.zigzag(field.id);
    }
    if (type > 2) writeValue(out, type, field.value);
    last = field.id;
  }
  out.byte(0);
}

function writeValue(out: GrowingBytes, type: number, value: ThriftValue): void {
  switch (type) {
    case thriftTypes.i8:
      return out.byte((value as number) & 0xff);
    case thriftTypes.i16:
    case thriftTypes.i32:
    case thriftTypes.i64:
      return typeof value === 'bigint' ? writeBigInt(out, value) : out.zigzag(value as number);
    case thriftTypes.double:
      return out.append(value as Uint8Array);
    case thriftTypes.binary:
      out.varint((value as Uint8Array).length);
      return out.append(value as Uint8Array);
    case thriftTypes.list:
    case thriftTypes.set:
      return writeList(out, value as ThriftList);
    default:
      return writeStruct(out, value as ThriftStruct);
  }
}

function writeList(out: GrowingBytes, { elementType, values }: ThriftList): void {
  out.byte((Math.min(values.length, 15) << 4) | elementType);
  if (values.length >= 15) out.varint(values.length);
  for (const item of values) {
    if (elementType <= 2) out.byte(item ? 1 : 2);
    else writeValue(out, elementType, item);
  }
}

function writeBigInt(out: GrowingBytes, value: bigint): void {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest >= 0x80n; rest >>= 7n) out.byte(Number(rest & 0x7fn) | 0x80);
  out.byte(Number(rest));
}

/** Fields by what they hold, for those who write structs. Those that are undefined are left out by {@link structOf}. */
export const field = {
  bool: (id: number, value: boolean): ThriftField => ({ id, type: thriftTypes.true, value }),
  i32: (id: number, value: number): ThriftField => ({ id, type: thriftTypes.i32, value }),
  /** A number is whole and within +-2^53. */
  i64: (id: number, value: number | bigint): ThriftField => ({ id, type: thriftTypes.i64, value }),
  binary: (id: number, value: Uint8Array): ThriftField => ({ id, type: thriftTypes.binary, value }),
  text: (id: number, value: string): ThriftField => field.binary(id, Buffer.from(value)),
  struct: (id: number, value: ThriftStruct = []): ThriftField => ({ id, type: thriftTypes.struct, value }),
  list: (id: number, elementType: number, values: ThriftValue[]): ThriftField => ({
    id,
    type: thriftTypes.list,
    value: { elementType, values },
  }),
};

export function structOf(...fields: readonly (ThriftField | undefined)[]): ThriftStruct {
  return fields.filter((each) => each !== undefined);
}
