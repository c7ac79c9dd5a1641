import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { lz4Decompress, snappyDecompress } from '@platformatic/wasm-utils';
import { FatalError } from '../base/errors.ts';

/** What a record batch may have, compressed or not, unless something else is said: far above `max.message.bytes` in use. */
export const batchBytesMaxDefault: number = 100_000_000;

/**
 * Decompresses the records of a batch. `codec` is the low three bits of the batch's attributes. The size is looked at
 * first: a few bytes may stand for gigabytes. @throws {FatalError} when there would be more than `bytesMax`.
 */
export function decompress(codec: number, bytes: Buffer, bytesMax: number): Buffer {
  switch (codec) {
    case 1:
      return bounded(bytesMax, () => gunzipSync(bytes, { maxOutputLength: bytesMax }));
    case 2:
      return decompressSnappy(bytes, bytesMax);
    case 3:
      if (lz4Bytes(bytes) > bytesMax) throw tooLarge(bytesMax);
      return lz4Decompress(bytes);
    case 4:
      return bounded(bytesMax, () => zstdDecompressSync(bytes, { maxOutputLength: bytesMax }));
    default:
      throw new FatalError(`compression codec ${codec} is not one of Kafka's (gzip, snappy, lz4, zstd)`);
  }
}

/** A batch beyond what is allowed. */
export function tooLarge(bytesMax: number): FatalError {
  return new FatalError(
    `it has more than ${bytesMax} bytes, compressed or decompressed; source.batchBytesMax allows more`,
  );
}

function bounded(bytesMax: number, run: () => Buffer): Buffer {
  try {
    return run();
  } catch (error) {
    throw (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(bytesMax) : error;
  }
}

// Java producers frame snappy as the xerial library does: a header, then length-prefixed blocks.
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderLength = 16;

function decompressSnappy(bytes: Buffer, bytesMax: number): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    if (snappyBytes(bytes) > bytesMax) throw tooLarge(bytesMax);
    return snappyDecompress(bytes);
  }
  const blocks: Buffer[] = [];
  let total = 0;
  for (let position = xerialHeaderLength; position < bytes.length; ) {
    if (position + 4 > bytes.length) throw new FatalError('a snappy block is cut off');
    const length = bytes.readInt32BE(position);
    position += 4;
    if (length < 0 || position + length > bytes.length) throw new FatalError('a snappy block is cut off');
    const block = bytes.subarray(position, position + length);
    total += snappyBytes(block);
    if (total > bytesMax) throw tooLarge(bytesMax);
    blocks.push(snappyDecompress(block));
    position += length;
  }
  return Buffer.concat(blocks);
}

/** Snappy begins with the decompressed size, a varint. */
function snappyBytes(bytes: Buffer): number {
  let size = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i] ?? 0;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return size;
  }
  throw new FatalError('the size of a snappy block is damaged');
}

const lz4 = { magicLength: 4, sizeFlag: 0x08, dictionaryFlag: 0x01, blockChecksumFlag: 0x10 } as const;
const storedFlag = 0x80000000;

/**
 * What an LZ4 frame decompresses to (lz4_Frame_format.md), as far as that can be told without doing it: all blocks but the
 * last are full, unless they are too small to be. It is never more than a block above that.
 */
function lz4Bytes(bytes: Buffer): number {
  if (bytes.length < lz4.magicLength + 3) return 0; // none, which the decompressor says
  const flags = bytes[lz4.magicLength]!;
  const blockBytesMax = 1 << (8 + 2 * ((bytes[lz4.magicLength + 1]! >> 4) & 7));
  let position = lz4.magicLength + 3 + (flags & lz4.sizeFlag ? 8 : 0) + (flags & lz4.dictionaryFlag ? 4 : 0);
  let total = 0;
  while (position + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(position);
    if (word === 0) break;
    const isStored = word >= storedFlag;
    const length = isStored ? word - storedFlag : word;
    position += 4;
    total += Math.min(isStored ? length : length * 255, blockBytesMax);
    position += length + (flags & lz4.blockChecksumFlag ? 4 : 0);
  }
  return Math.max(0, total - blockBytesMax);
}
