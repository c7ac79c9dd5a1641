/** Bytes that something is written to, one after the other: levels, pages, headers. The memory is kept for the next. */
export class GrowingBytes {
  bytes: Uint8Array;
  /** The same memory. */
  view: DataView;
  length = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` more bytes; `bytes` and `view` may be others afterwards. */
  need(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.length + count, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  byte(value: number): void {
    this.need(1);
    this.bytes[this.length++] = value;
  }

  /** ULEB128 of a whole number from 0 to 2^53. */
  varint(value: number): void {
    this.need(8);
    let rest = value;
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) this.bytes[this.length++] = (rest % 128) | 0x80;
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.length++] = (rest & 0x7f) | 0x80;
    this.bytes[this.length++] = rest;
  }

  /** ULEB128 of a whole number within +-2^52, with its sign in the lowest bit. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  append(bytes: Uint8Array): void {
    this.need(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What was written. The memory is still this one's. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written. */
  taken(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
