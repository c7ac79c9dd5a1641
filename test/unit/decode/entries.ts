import type { Column } from '../../../src/arrow/columns.ts';
import type { Decoder, Entries } from '../../../src/decode/decoder.ts';

/** Bytes behind each other with others around them, as the values of a batch stand. */
export function entriesOf(values: readonly Uint8Array[], around: Uint8Array): Entries {
  const bytes = Buffer.concat([around, ...values.flatMap((value) => [value, around])]);
  const starts = new Int32Array(values.length);
  const lengths = Int32Array.from(values, (value) => value.length);
  let end = around.length;
  for (const [i, value] of values.entries()) {
    starts[i] = end;
    end += value.length + around.length;
  }
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), starts, lengths };
}

/** Appends a value that stands between others' bytes. @throws {DecodeError} */
export function append(decoder: Decoder, value: Uint8Array, around: Uint8Array): void {
  if (decoder.append(entriesOf([value], around), 0, 1) === 0) throw decoder.failure!;
}

/** All that a column holds, byte for byte, with the bits behind its last value. */
export function contentsOf(column: Column): unknown {
  const { length, nullCount, kind } = column;
  const validity =
    column.validity && Buffer.from(column.validity.subarray(0, (length >> 3) + 2)).toString('hex');
  const common = { kind, length, nullCount, validity };
  switch (column.kind) {
    case 'struct':
      return { ...common, children: column.children.map(contentsOf) };
    case 'list':
      return { ...common, offsets: column.offsets.slice(0, length + 1), element: contentsOf(column.element) };
    case 'map':
      return {
        ...common,
        offsets: column.offsets.slice(0, length + 1),
        key: contentsOf(column.key),
        value: contentsOf(column.value),
      };
    case 'bytes': {
      const offsets = column.offsets.slice(0, length + 1);
      return {
        ...common,
        offsets,
        data: Buffer.from(column.data.subarray(0, offsets[length])).toString('hex'),
      };
    }
    case 'boolean':
      return { ...common, values: Buffer.from(column.values.subarray(0, (length >> 3) + 2)).toString('hex') };
    case 'decimal':
      return { ...common, values: column.words.slice(0, length * 4) };
    case 'fixed':
      return { ...common, values: column.values.slice(0, length * column.width) };
    default:
      return { ...common, values: column.values.slice(0, length) };
  }
}
