import { DecodeError } from './decoder.ts';

/**
 * A position in Avro-encoded bytes (Avro 1.12 "Binary Encoding"). Reading past the end is caught where a length is
 * known and once at the end of the record: single bytes are read without a check each.
 */
export class AvroCursor {
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  position = 0;
  end = 0;
  /** How many records that are only read over lie inside each other here. */
  depth = 0;
  /** The halves of the long that {@link readLong} read last. */
  low = 0;
  high = 0;

  /** A zigzag varint that must fit 32 bits: lengths, counts, indexes, ints. */
  readInt(field: string): number {
    const { bytes } = this;
    let byte = bytes[this.position++]!;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = bytes[this.position++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) break;
        return (value >>> 1) ^ -(value & 1);
      }
      if (byte === undefined) break;
    }
    throw new DecodeError(
      field,
      this.position > this.end ? 'the record ends inside a number' : 'a number is longer than 32 bits',
    );
  }

  /** A zigzag varint of 64 bits, into {@link low} and {@link high}. */
  readLong(field: string): void {
    const { bytes } = this;
    let at = this.position;
    // 28 bits, 28 bits, 8 bits: each part fits a 32-bit integer.
    let first = 0;
    let second = 0;
    let third = 0;
    let byte = 0x80;
    for (let shift = 0; shift < 28 && byte > 0x7f; shift += 7) {
      byte = bytes[at++]!;
      first |= (byte & 0x7f) << shift;
    }
    for (let shift = 0; shift < 28 && byte > 0x7f; shift += 7) {
      byte = bytes[at++]!;
      second |= (byte & 0x7f) << shift;
    }
    for (let shift = 0; shift < 14 && byte > 0x7f; shift += 7) {
      byte = bytes[at++]!;
      third |= (byte & 0x7f) << shift;
    }
    this.position = at;
    if (byte > 0x7f || byte === undefined || third > 0xff)
      throw new DecodeError(
        field,
        at > this.end ? 'the record ends inside a number' : 'a number is longer than 64 bits',
      );
    const low = first | (second << 28);
    const high = (second >>> 4) | (third << 24);
    // Zigzag: halve, and flip all bits when the lowest was set.
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  /** Steps over `length` bytes and returns where they start. @throws {DecodeError} when the record is shorter. */
  take(length: number, field: string): number {
    const start = this.position;
    if (length < 0 || length > this.end - start)
      throw new DecodeError(
        field,
        `a length of ${length} bytes does not fit the ${this.end - start} bytes left`,
      );
    this.position = start + length;
    return start;
  }
}
