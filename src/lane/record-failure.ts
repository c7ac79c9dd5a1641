import { DecodeError } from '../decode/decoder.ts';
import type { RecordColumns } from '../kafka/record-columns.ts';
import type { TopicPartition } from '../kafka/topic-partition.ts';
import type { RecordFailure } from './lane.ts';

/** Record `i` and what is wrong with it, with all that is needed to find it. */
export function failureOf(
  from: TopicPartition,
  records: RecordColumns,
  i: number,
  error: DecodeError,
): RecordFailure {
  const { topic, partition } = from;
  return { topic, partition, offset: records.offsets[i]!, field: error.field, reason: error.reason };
}

export function tombstone(): DecodeError {
  return new DecodeError('', 'the record has no value (a tombstone)');
}
