/** Text forms of typed values, as ISO 8601 and SQL write them. */

const daysPerEra = 146_097;

/** `2024-03-01` for days since the epoch; years outside 0-9999 carry a sign. */
export function isoDate(days: number): string {
  // The Gregorian calendar repeats every 400 years: `Date` ends at the year 275760, timestamps go further.
  const eras = Math.floor(days / daysPerEra);
  const date = new Date((days - eras * daysPerEra) * 86_400_000);
  const year = date.getUTCFullYear() + eras * 400;
  const sign = year < 0 ? '-' : year > 9999 ? '+' : '';
  return `${sign}${pad(Math.abs(year), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
}

/** `22:31:08` or `22:31:08.000001` for microseconds since midnight. */
export function isoTime(micros: bigint): string {
  const seconds = Number(micros / 1_000_000n);
  const fraction = Number(micros % 1_000_000n);
  const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60]
    .map((n) => pad(Math.floor(n), 2))
    .join(':');
  return fraction === 0 ? clock : `${clock}.${pad(fraction, 6)}`;
}

/** `2017-11-16T22:31:08.000001` for microseconds since the epoch, without a zone. */
export function isoTimestamp(micros: bigint): string {
  const day = 86_400_000_000n;
  const ofDay = ((micros % day) + day) % day;
  return `${isoDate(Number((micros - ofDay) / day))}T${isoTime(ofDay)}`;
}

/** `-12.30` for an unscaled value and its scale. */
export function decimalText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  return `${negative ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(digits.length - scale)}`}`;
}

function pad(n: number, width: number): string {
  return String(n).padStart(width, '0');
}
