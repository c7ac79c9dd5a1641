/** From this offset on, up to the next one's, records were written by the leader of this epoch; -1 is not known. */
export interface EpochStart {
  offset: number;
  epoch: number;
}

/** The epoch of the record at `offset` or, where that is gone, of the last one before; undefined when not known. */
export function epochAt(epochs: readonly EpochStart[], offset: number): number | undefined {
  const epoch = epochs.findLast((start) => start.offset <= offset)?.epoch ?? -1;
  return epoch < 0 ? undefined : epoch;
}
