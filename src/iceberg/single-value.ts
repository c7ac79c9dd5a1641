import type { PartitionValue } from './transforms.ts';
import type { PrimitiveType } from './types.ts';

/**
 * Binary single-value serialization (spec appendix D), the form of bounds in manifests and manifest lists.
 * Integers little-endian, decimals unscaled big-endian in the fewest bytes.
 */
export function toSingleValue(type: PrimitiveType, value: Exclude<PartitionValue, null>): Uint8Array {
  switch (type.kind) {
    case 'boolean':
      return Uint8Array.of(value ? 1 : 0);
    case 'int':
    case 'date': {
      const out = Buffer.alloc(4);
      out.writeInt32LE(Number(value));
      return out;
    }
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const out = Buffer.alloc(8);
      out.writeBigInt64LE(BigInt(value as bigint));
      return out;
    }
    case 'float': {
      const out = Buffer.alloc(4);
      out.writeFloatLE(value as number);
      return out;
    }
    case 'double': {
      const out = Buffer.alloc(8);
      out.writeDoubleLE(value as number);
      return out;
    }
    case 'decimal':
      return decimalToBytes(BigInt(value as bigint));
    case 'string':
      return Buffer.from(value as string, 'utf8');
    default:
      return value as Uint8Array;
  }
}

/** The inverse of {@link toSingleValue}. Integers may be narrower than their type: it was promoted since. */
export function fromSingleValue(type: PrimitiveType, bytes: Uint8Array): Exclude<PartitionValue, null> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type.kind) {
    case 'boolean':
      return view[0] !== 0;
    case 'int':
    case 'date':
      return view.readInt32LE();
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return view.length === 4 ? BigInt(view.readInt32LE()) : view.readBigInt64LE();
    case 'float':
      return view.readFloatLE();
    case 'double':
      return view.length === 4 ? view.readFloatLE() : view.readDoubleLE();
    case 'decimal':
      return decimalFromBytes(view);
    case 'string':
      return view.toString('utf8');
    default:
      return view;
  }
}

/** Two's complement, big-endian, as few bytes as hold the sign (`BigInteger.toByteArray`). */
export function decimalToBytes(unscaled: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, unscaled) !== unscaled) length++;
  return decimalToFixed(unscaled, length);
}

/** Two's complement, big-endian, in exactly `length` bytes. */
export function decimalToFixed(unscaled: bigint, length: number): Uint8Array {
  const out = Buffer.alloc(length);
  let rest = BigInt.asUintN(8 * length, unscaled);
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** The inverse of {@link decimalToBytes} and {@link decimalToFixed}. */
export function decimalFromBytes(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

/** The first `length` code points of UTF-8 `bytes`: a lower bound of every string they start. */
export function truncateStringLower(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.subarray(0, codePointEnd(bytes, length));
}

/**
 * An upper bound of `bytes` in at most `length` code points: cut, then the last code point that can be raised is
 * raised and what follows it dropped (Java `UnicodeUtil.truncateStringMax`). Undefined when none can be.
 */
export function truncateStringUpper(bytes: Uint8Array, length: number): Uint8Array | undefined {
  const end = codePointEnd(bytes, length);
  if (end === bytes.length) return bytes;
  const points = [...Buffer.from(bytes.subarray(0, end)).toString('utf8')];
  for (let i = points.length - 1; i >= 0; i--) {
    let next = points[i]!.codePointAt(0)! + 1;
    if (next >= 0xd800 && next <= 0xdfff) next = 0xe000; // surrogates are no characters
    if (next > 0x10ffff) continue;
    return Buffer.from(points.slice(0, i).join('') + String.fromCodePoint(next), 'utf8');
  }
  return undefined;
}

export function truncateBinaryLower(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.subarray(0, length);
}

/** As {@link truncateStringUpper} for bytes: the last byte that is not 0xFF is raised. */
export function truncateBinaryUpper(bytes: Uint8Array, length: number): Uint8Array | undefined {
  if (bytes.length <= length) return bytes;
  for (let i = length - 1; i >= 0; i--) {
    if (bytes[i] === 0xff) continue;
    const out = bytes.slice(0, i + 1);
    out[i] = out[i]! + 1;
    return out;
  }
  return undefined;
}

/** Where the first `length` code points of the UTF-8 text `bytes[start, end)` end. */
export function codePointEnd(
  bytes: Uint8Array,
  length: number,
  start = 0,
  end: number = bytes.length,
): number {
  let points = 0;
  for (let i = start; i < end; i++) {
    // Continuation bytes are 10xxxxxx.
    if ((bytes[i]! & 0xc0) !== 0x80 && ++points > length) return i;
  }
  return end;
}
