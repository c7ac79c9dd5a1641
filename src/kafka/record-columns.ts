/**
 * The records of one Kafka record batch as columns: no object per record.
 *
 * Entry `i` of every array belongs to record `i`. Starts are byte positions in `bytes`; a length of -1 is null. The
 * arrays are reused for the next batch: nothing may keep them.
 */
export class RecordColumns {
  count = 0;
  /** What the positions point into: the (decompressed) batch. */
  bytes: Buffer = Buffer.alloc(0);
  /** A view of `bytes`, for multi-byte reads. */
  view: DataView = new DataView(new ArrayBuffer(0));
  offsets!: Float64Array;
  /** Milliseconds since the epoch, -1 for none. */
  timestamps!: Float64Array;
  keyStarts!: Int32Array;
  keyLengths!: Int32Array;
  valueStarts!: Int32Array;
  valueLengths!: Int32Array;
  headerStarts!: Int32Array;
  headerCounts!: Int32Array;
  #capacity = 0;

  constructor() {
    this.reserve(1024);
  }

  /** Makes room for `count` records, forgetting what was there. */
  reserve(count: number): void {
    if (count <= this.#capacity) return;
    this.#capacity = Math.max(count, this.#capacity * 2);
    this.offsets = new Float64Array(this.#capacity);
    this.timestamps = new Float64Array(this.#capacity);
    this.keyStarts = new Int32Array(this.#capacity);
    this.keyLengths = new Int32Array(this.#capacity);
    this.valueStarts = new Int32Array(this.#capacity);
    this.valueLengths = new Int32Array(this.#capacity);
    this.headerStarts = new Int32Array(this.#capacity);
    this.headerCounts = new Int32Array(this.#capacity);
  }
}
