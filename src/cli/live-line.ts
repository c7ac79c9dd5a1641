/** One line at the bottom of a terminal that is written over; log lines scroll above it. */
export class LiveLine {
  readonly #live: boolean;
  #line = '';

  constructor(live: boolean) {
    this.#live = live;
  }

  show(line: string): void {
    this.#line = line.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1));
    process.stderr.write(`\r\x1b[2K${this.#line}`);
  }

  above(line: string): void {
    process.stderr.write(`\r\x1b[2K${line}\n${this.#line}`);
  }

  end(): void {
    if (this.#live && this.#line !== '') process.stderr.write('\n');
  }
}
