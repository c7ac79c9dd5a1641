/** The middle of the values in order, the mean of the two in the middle where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A value with a weight, such as how many records had this latency. */
export type Weighted = readonly [value: number, weight: number];

/** The least value that at least `part` (0 to 1) of the weight does not exceed. */
export function percentile(values: readonly Weighted[], part: number): number {
  const sorted = values.toSorted(([a], [b]) => a - b);
  const total = sorted.reduce((sum, [, weight]) => sum + weight, 0);
  let below = 0;
  for (const [value, weight] of sorted) if ((below += weight) >= part * total) return value;
  return Number.NaN;
}

/** What a process had used of the CPU at some moment. */
export interface Sample {
  readonly atMs: number;
  readonly cpuSeconds: number;
}

/** Below this share of one core nothing is being done: a JVM that waits takes 0.02. */
const workingCores = 0.15;

/** How many of the seconds between the samples were spent waiting, as for the next commit to be due. */
export function waitingSeconds(samples: readonly Sample[]): number {
  let seconds = 0;
  for (const [i, sample] of samples.entries()) {
    const before = samples[i - 1];
    if (!before) continue;
    const between = (sample.atMs - before.atMs) / 1000;
    if (sample.cpuSeconds - before.cpuSeconds < workingCores * between) seconds += between;
  }
  return seconds;
}
