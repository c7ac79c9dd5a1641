/** Sizes, counts and times as people write them. Each parser returns undefined for what it does not understand. */

const durations: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `60s`, `5m`, `1.5h`, `2d` as milliseconds. A bare number has no unit and is not understood. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim());
  return match ? Math.round(Number(match[1]) * durations[match[2]!]!) : undefined;
}

const sizes: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** `128MiB`, `1.5 GB`, `65536` as bytes. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?)\s*([a-z]*)$/i.exec(text.trim().replaceAll('_', ''));
  const unit = match && sizes[match[2]!.toLowerCase()];
  return unit ? Math.round(Number(match[1]) * unit) : undefined;
}

/** `5_000_000`, `5000000`, `5e6`, `5M`, `10k` as a whole number. */
export function parseCount(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?)\s*([kM]?)$/.exec(text.trim().replaceAll('_', ''));
  if (!match) return undefined;
  const count = Number(match[1]) * ({ k: 1e3, M: 1e6 }[match[2]!] ?? 1);
  return Number.isSafeInteger(count) ? count : undefined;
}
