import { crc32 } from 'node:zlib';
import { field, type ThriftField, writeThrift } from './thrift.ts';

/** As parquet.thrift `PageType` numbers them. */
export const pageTypes = { data: 0, dictionary: 2, dataV2: 3 } as const;

export interface PagePart {
  bytes: Uint8Array;
  headerBytes: number;
}

/** A page with its header (`PageHeader`), in memory of its own. `header` is that of its type. */
export function pageOf(
  type: number,
  rawBytes: number,
  header: ThriftField,
  body: readonly Uint8Array[],
): PagePart {
  let bodyBytes = 0;
  let crc = 0;
  for (const part of body) {
    bodyBytes += part.length;
    crc = crc32(part, crc);
  }
  const head = writeThrift([
    field.i32(1, type),
    field.i32(2, rawBytes),
    field.i32(3, bodyBytes),
    field.i32(4, crc | 0),
    header,
  ]);
  const bytes = new Uint8Array(head.length + bodyBytes);
  bytes.set(head);
  let at = head.length;
  for (const part of body) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, headerBytes: head.length };
}
