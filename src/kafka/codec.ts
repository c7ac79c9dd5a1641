import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { lz4Decompress, snappyDecompress } from '@platformatic/wasm-utils';
import { FatalError } from '../base/errors.ts';

/** What a record batch may grow to when decompressed: a bound against bombs, far above `max.message.bytes` in use. */
const decompressedBytesMax = 1 << 30;

/** Decompresses the records of a batch. `codec` is the low three bits of the batch's attributes. */
export function decompress(codec: number, bytes: Buffer): Buffer {
  switch (codec) {
    case 1:
      return gunzipSync(bytes, { maxOutputLength: decompressedBytesMax });
    case 2:
      return decompressSnappy(bytes);
    case 3:
      return lz4Decompress(bytes);
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength: decompressedBytesMax });
    default:
      throw new FatalError(`compression codec ${codec} is not one of Kafka's (gzip, snappy, lz4, zstd)`);
  }
}

// Java producers frame snappy as the xerial library does: a header, then length-prefixed blocks.
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderLength = 16;

function decompressSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return snappyDecompress(bytes);
  const blocks: Buffer[] = [];
  for (let position = xerialHeaderLength; position < bytes.length; ) {
    const length = bytes.readInt32BE(position);
    position += 4;
    if (length < 0 || position + length > bytes.length) throw new FatalError('a snappy block is cut off');
    blocks.push(snappyDecompress(bytes.subarray(position, position + length)));
    position += length;
  }
  return Buffer.concat(blocks);
}
