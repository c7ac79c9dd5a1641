import { randomFillSync } from 'node:crypto';

/** Randomness as a port: the simulator replays it from a seed. */
export interface Random {
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array;
}

/** The machine's cryptographic randomness. */
export const systemRandom: Random = {
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

/** A repeatable stream for tests and simulation (splitmix64 over BigInt-free 32-bit halves would be faster; this is clear). */
export function seededRandom(seed: number): Random & { float(): number; below(n: number): number } {
  // mulberry32: passes the usual statistical batteries and fits in five lines.
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    bytes(length) {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = next() & 0xff;
      return out;
    },
    float: () => next() / 4294967296,
    below: (n) => Math.floor((next() / 4294967296) * n),
  };
}

/** A random (version 4) UUID, RFC 9562 section 5.4. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  return uuidText(bytes);
}

/** A UUID that begins with the time (version 7), RFC 9562 section 5.7. */
export function timedUuid(nowMs: number, random: Random): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  return uuidText(bytes);
}

/** Sets the variant and writes it out. */
function uuidText(bytes: Uint8Array): string {
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A number in [0, 1) with 32 bits of randomness, for jitter. */
export function fraction(random: Random): number {
  return Buffer.from(random.bytes(4)).readUInt32LE() / 4294967296;
}
