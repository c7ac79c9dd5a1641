import { FatalError } from '../base/errors.ts';

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
/** Booleans, i8-i32 as number, i64 as bigint, double as its 8 raw bytes, binary as bytes. */
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

/** Writes one struct. */
export function writeThrift(root: ThriftStruct): Uint8Array {
  const out: number[] = [];
  const varint = (n: bigint): void => {
    let rest = n;
    for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
    out.push(Number(rest));
  };
  const zigzag = (n: bigint): void => varint(BigInt.asUintN(64, (n << 1n) ^ (n >> 63n)));
  const append = (bytes: Uint8Array): void => {
    for (const byte of bytes) out.push(byte);
  };
  const value = (type: number, v: ThriftValue): void => {
    switch (type) {
      case thriftTypes.i8:
        out.push((v as number) & 0xff);
        break;
      case thriftTypes.i16:
      case thriftTypes.i32:
      case thriftTypes.i64:
        zigzag(BigInt(v as number | bigint));
        break;
      case thriftTypes.double:
        append(v as Uint8Array);
        break;
      case thriftTypes.binary:
        varint(BigInt((v as Uint8Array).length));
        append(v as Uint8Array);
        break;
      case thriftTypes.list:
      case thriftTypes.set: {
        const list = v as ThriftList;
        const size = list.values.length;
        out.push((Math.min(size, 15) << 4) | list.elementType);
        if (size >= 15) varint(BigInt(size));
        for (const item of list.values) {
          if (list.elementType <= 2) out.push(item ? 1 : 2);
          else value(list.elementType, item);
        }
        break;
      }
      default:
        struct(v as ThriftStruct);
    }
  };
  const struct = (fields: ThriftStruct): void => {
    let last = 0;
    for (const field of fields) {
      const type = field.type <= 2 ? (field.value ? thriftTypes.true : thriftTypes.false) : field.type;
      const delta = field.id - last;
      if (delta > 0 && delta <= 15) {
        out.push((delta << 4) | type);
      } else {
        out.push(type);
        zigzag(BigInt(field.id));
      }
      if (type > 2) value(type, field.value);
      last = field.id;
    }
    out.push(0);
  };
  struct(root);
  return Uint8Array.from(out);
}
