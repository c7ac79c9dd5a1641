import { InvalidArgumentError } from 'commander';

/** Numbers as people read and write them. */

/** How many of something. @throws {InvalidArgumentError} for what is no whole number above 0. */
export function parseCount(text: string): number {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 1) throw new InvalidArgumentError('Expected a whole number above 0.');
  return n;
}

export function formatCount(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** `12.3k`, `4.5M`: three digits are enough for a rate. */
export function formatRate(n: number): string {
  return inUnits(n, 1000, ['', 'k', 'M', 'G']);
}

export function formatBytes(n: number): string {
  return inUnits(n, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

/** Three digits of the largest unit that leaves at least one; four where the step between units is larger. */
function inUnits(n: number, step: number, units: readonly string[]): string {
  let unit = 0;
  let rest = n;
  for (; Math.round(rest) >= step && unit < units.length - 1; rest /= step) unit++;
  // toPrecision would write 1000 as 1.00e+3.
  return `${unit === 0 || rest >= 999.5 ? rest.toFixed(0) : rest.toPrecision(3)}${units[unit]}`;
}

export function formatAge(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** Columns of equal width, the first left-aligned as text, numbers to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const numeric = head.map((_, i) => rows.every((row) => /^[-\d,.]*$/.test(row[i]!)) && rows.length > 0);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}
