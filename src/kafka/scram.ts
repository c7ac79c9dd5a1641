import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Refusal } from './access.ts';

/**
 * SCRAM (RFC 5802, RFC 7677) without channel binding. The wire library has it too; its own escapes only the first comma
 * of a name, takes any number of rounds, and a malformed answer would end the process.
 */

/** Least of the RFC; and what no broker has, but takes less than a second. */
const iterationsMin = 4096;
const iterationsMax = 1_000_000;

const hashes = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const;
export type ScramMechanism = keyof typeof hashes;

const derive = promisify(pbkdf2);

/** What is sent first. Kafka's brokers do not normalise names and passwords (SASLprep), and neither do we. */
export function clientFirst(username: string, nonce: string): string {
  return `n,,${clientFirstBare(username, nonce)}`;
}

function clientFirstBare(username: string, nonce: string): string {
  return `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
}

/**
 * What answers the broker's first message, and what its last must be: only who knows the password can say it.
 * @throws {Refusal} when the message is not as it must be.
 */
export async function clientFinal(
  mechanism: ScramMechanism,
  login: { username: string; password: string; nonce: string },
  serverFirst: string,
): Promise<{ message: string; serverFinal: string }> {
  const hash = hashes[mechanism];
  const [, nonce = '', salt = '', rounds = ''] =
    /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})(?:,|$)/.exec(serverFirst) ?? [];
  const iterations = Number(rounds);
  if (!nonce.startsWith(login.nonce) || nonce.length === login.nonce.length)
    throw new Refusal(`the broker's answer is not ${mechanism}'s`);
  if (iterations < iterationsMin || iterations > iterationsMax)
    throw new Refusal(`the broker asks for ${rounds} iterations of ${mechanism}: make the user anew`);
  const salted = await derive(
    login.password,
    Buffer.from(salt, 'base64'),
    iterations,
    createHash(hash).digest().length,
    hash,
  );
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${nonce}`;
  const all = `${clientFirstBare(login.username, login.nonce)},${serverFirst},${withoutProof}`;
  const signature = hmac(createHash(hash).update(clientKey).digest(), all);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
  return {
    message: `${withoutProof},p=${proof.toString('base64')}`,
    serverFinal: `v=${hmac(hmac(salted, 'Server Key'), all).toString('base64')}`,
  };
}

/** @throws {Refusal} when the broker does not prove that it knows the password. */
export function checkServerFinal(expected: string, serverFinal: string): void {
  const [a, b] = [Buffer.from(expected), Buffer.from(serverFinal.split(',')[0]!)];
  if (a.length !== b.length || !timingSafeEqual(a, b))
    throw new Refusal('the broker does not know the password itself: it may not be who it says it is');
}
