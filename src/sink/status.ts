/** What a worker is doing, at one moment. */
export interface SinkStatus {
  state: 'running' | 'draining' | 'stopped';
  partitions: number;
  records: number;
  rows: number;
  bytes: number;
  snapshots: number;
  /** Records between what has landed and the end of the log, over this worker's partitions whose end is known. */
  lagRecords: number;
  heldBytes: number;
  heldBytesMax: number;
  /** The most that was held at any time. */
  heldBytesPeak: number;
  /** True while nothing may be fetched because of the memory bound. */
  paused: boolean;
  /** Since the last commit that succeeded; undefined before the first. */
  lastCommitAgeMs: number | undefined;
  undecodable: number;
  tombstones: number;
  fenced: number;
}
