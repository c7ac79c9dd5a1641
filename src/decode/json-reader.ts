import type { NumberReader } from './json-numbers.ts';
import type { JsonScanner } from './json-scanner.ts';

/** Unit of the numbers that stand for times. */
export type Epoch = 's' | 'ms' | 'us' | 'ns';

/** What the readers of one decoder share. */
export interface ReaderContext {
  s: JsonScanner;
  numbers: NumberReader;
  epoch: Epoch;
}

/**
 * Reads the value at the scanner's position and appends it to the column the reader was made for. The value is not
 * `null`, and there is no white space before it.
 */
export type Read = () => void;
