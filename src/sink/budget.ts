import { fetchBytesMin } from '../kafka/source.ts';
import type { Appended } from '../lane/lane.ts';

/**
 * I6: bytes held never pass the limit. Held is what was read from Kafka and has not landed, in whatever form: answers
 * under way, record sets, columns, encoded pages, and files whose commit is not through.
 *
 * Reading is allowed against the free part only, less what record sets may still grow to when they are decompressed.
 */
export class Budget {
  readonly limitBytes: number;
  readonly #lanes: number[];
  /** Record sets that came and were not handed to a lane yet. */
  #receivedBytes = 0;
  /** Record sets that lanes have not answered for. */
  #queuedBytes = 0;
  #stagedBytes = 0;
  #reservedBytes = 0;
  /** Row bytes per byte of a record set, as the last sets had it: what compression hides. */
  #expansion = 4;
  #peakBytes = 0;
  #isStopped = false;

  constructor(limitBytes: number, lanes: number) {
    this.limitBytes = limitBytes;
    this.#lanes = new Array(lanes).fill(0);
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  /** A received set is for nobody. */
  dropped(bytes: number): void {
    this.#receivedBytes -= bytes;
  }

  handed(bytes: number): void {
    this.#receivedBytes -= bytes;
    this.#queuedBytes += bytes;
  }

  /** A set that a lane was handed has come to nothing. */
  unanswered(bytes: number): void {
    this.#queuedBytes -= bytes;
  }

  appended(lane: number, bytes: number, appended: Appended): void {
    this.#queuedBytes -= bytes;
    this.laneHolds(lane, appended.heldBytes);
    const rowBytes = Object.values(appended.tables).reduce((sum, table) => sum + table.bytes, 0);
    // Follows a rise at once and a fall slowly: too high only fetches a little less.
    this.#expansion = Math.max(1, rowBytes / bytes, this.#expansion * 0.95);
  }

  laneHolds(lane: number, bytes: number): void {
    this.#lanes[lane] = bytes;
  }

  get heldBytes(): number {
    const lanes = this.#lanes.reduce((sum, bytes) => sum + bytes, 0);
    return this.#reservedBytes + this.#receivedBytes + this.#queuedBytes + lanes + this.#stagedBytes;
  }

  /** The most that was ever held. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Half full, or so full that nothing is read any more: time to land something, whatever the triggers say. */
  get isTight(): boolean {
    return this.#isStopped || this.heldBytes > this.limitBytes / 2;
  }

  /** How many bytes the source may have under way, given what it has and what waits for commits. */
  allowed(reservedBytes: number, stagedBytes: number): number {
    this.#reservedBytes = reservedBytes;
    this.#stagedBytes = stagedBytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.heldBytes);
    const growth = (this.#receivedBytes + this.#queuedBytes + reservedBytes) * this.#expansion;
    // A broker may send one batch more than it was asked for: an eighth stays in reserve.
    const free = this.limitBytes * 0.875 - this.heldBytes - growth;
    const allowed = Math.max(0, reservedBytes + free / (1 + this.#expansion));
    this.#isStopped = allowed < fetchBytesMin;
    // However much records grow when they are decompressed: with nothing held, one fetch must be possible.
    return this.heldBytes === 0 ? Math.max(allowed, fetchBytesMin) : allowed;
  }
}
