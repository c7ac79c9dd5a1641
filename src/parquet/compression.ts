import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { snappyCompress } from '@platformatic/wasm-utils';
import type { EncodingOptions } from './encoder.ts';
import { lz4Block, lz4Bound } from './lz4.ts';

/** Compresses one page. The answer may be memory that the next call writes over, or `bytes` itself. */
export interface Compressor {
  /** As parquet.thrift `CompressionCodec` numbers it. */
  readonly codec: number;
  compress(bytes: Uint8Array): Uint8Array;
  /** Wraps `bytes` as this codec has it for what does not shrink, at the cost of a copy; undefined: it is quick anyway. */
  readonly store: ((bytes: Uint8Array) => Uint8Array) | undefined;
}

/** The numbers of parquet.thrift. */
export const codecs: Record<EncodingOptions['codec'], number> = {
  uncompressed: 0,
  snappy: 1,
  gzip: 2,
  zstd: 6,
  lz4: 7, // LZ4_RAW
};

/** Without a level: 1 for zstd, which is twice as fast as Java's 3 for files some per cent larger; 6 for gzip. */
export function compressorOf(codec: EncodingOptions['codec'], level: number | undefined): Compressor {
  const number = codecs[codec];
  switch (codec) {
    case 'uncompressed':
      return { codec: number, compress: (bytes) => bytes, store: (bytes) => bytes };
    case 'snappy':
      return { codec: number, compress: (bytes) => snappyCompress(bytes as Buffer), store: undefined };
    case 'gzip': {
      const gzip = (bytes: Uint8Array, at: number): Uint8Array =>
        gzipSync(bytes, { level: at, chunkSize: outputBytes(bytes) });
      return {
        codec: number,
        compress: (bytes) => gzip(bytes, level ?? 6),
        store: (bytes) => gzip(bytes, 0),
      };
    }
    case 'lz4':
      return { codec: number, compress: lz4, store: undefined };
    case 'zstd': {
      const params = { [constants.ZSTD_c_compressionLevel]: level ?? 1 };
      const compress = (bytes: Uint8Array): Uint8Array =>
        zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length, chunkSize: outputBytes(bytes) });
      return { codec: number, compress, store: storeZstd };
    }
  }
}

/** Room for the whole answer: else it comes in pieces that are put together again. */
function outputBytes(bytes: Uint8Array): number {
  return Math.max(1024, bytes.length + (bytes.length >> 8) + 128);
}

let lz4Output = new Uint8Array(0);

function lz4(bytes: Uint8Array): Uint8Array {
  const bound = lz4Bound(bytes.length);
  if (lz4Output.length < bound) lz4Output = new Uint8Array(bound);
  return lz4Output.subarray(0, lz4Block(bytes, lz4Output));
}

const zstdMagic = 0xfd2fb528;
/** One segment, four bytes of content size, neither dictionary nor checksum. */
const zstdDescriptor = 0b1010_0000;
const zstdBlockMax = 128 * 1024;

/** A zstd frame of raw blocks (RFC 8878, 3.1.1). */
function storeZstd(bytes: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(bytes.length / zstdBlockMax));
  const out = Buffer.allocUnsafe(9 + blocks * 3 + bytes.length);
  out.writeUInt32LE(zstdMagic, 0);
  out[4] = zstdDescriptor;
  out.writeUInt32LE(bytes.length, 5);
  let to = 9;
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * zstdBlockMax, (i + 1) * zstdBlockMax);
    const last = i === blocks - 1 ? 1 : 0;
    out.writeUIntLE((block.length << 3) | last, to, 3);
    out.set(block, to + 3);
    to += 3 + block.length;
  }
  return out;
}

/** A page that gets no smaller than this part of itself is stored. */
const worthwhile = 0.97;
/** After pages that did not shrink, so many are stored untried before the next is tried, at most. */
const untriedMax = 16;

/** Compresses the pages of a column, and tries less and less often while they do not shrink: ids and noise never do. */
export class PageCompressor {
  readonly #compressor: Compressor;
  #untried = 0;
  #left = 0;

  constructor(compressor: Compressor) {
    this.#compressor = compressor;
  }

  /** A page, or a part of one, in which the reader is told whether it is compressed. Undefined: it is not to be. */
  tryPage(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#compressor.codec === codecs.uncompressed) return undefined;
    if (this.#left > 0) {
      this.#left--;
      return undefined;
    }
    const compressed = this.#compressor.compress(bytes);
    if (compressed.length < bytes.length * worthwhile) {
      this.#untried = 0;
      return compressed;
    }
    this.#left = this.#untried;
    this.#untried = Math.min(untriedMax, this.#untried * 2 + 1);
    return undefined;
  }

  /** A page that has to be of this codec. */
  page(bytes: Uint8Array): Uint8Array {
    const { compress, store } = this.#compressor;
    return store ? (this.tryPage(bytes) ?? store(bytes)) : compress(bytes);
  }

  /** As {@link PageCompressor.page}, without a look at what became of the pages before. */
  dictionary(bytes: Uint8Array): Uint8Array {
    const { compress, store } = this.#compressor;
    const compressed = compress(bytes);
    return compressed.length <= bytes.length ? compressed : (store?.(bytes) ?? compressed);
  }
}
