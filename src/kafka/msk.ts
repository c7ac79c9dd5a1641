import { SignatureV4 } from '@smithy/signature-v4';
import type { Clock } from '../base/clock.ts';
import { isRetryable, messageOf, TransientError } from '../base/errors.ts';
import { Refusal } from './access.ts';

/**
 * Tokens of AWS IAM for Amazon MSK, as AWS's own signers make them (aws-msk-iam-sasl-signer): a presigned URL of
 * Signature Version 4, in base64url. They go over OAUTHBEARER, which MSK takes from Kafka 2.7.1 on, wherever it takes the
 * mechanism AWS_MSK_IAM: that one is a signature of the same kind in a form of its own.
 */

/** Whose signature, and for which region: in the form the signer takes them. */
export type AwsSigner = Pick<
  ConstructorParameters<typeof SignatureV4>[0],
  'credentials' | 'region' | 'sha256'
>;

/** As of AWS's signers; the broker ends the session then. */
const lifeSeconds = 900;

export class MskTokens {
  readonly #signer: AwsSigner;
  readonly #clock: Clock;
  #everSigned = false;

  constructor(signer: AwsSigner, clock: Clock) {
    this.#signer = signer;
    this.#clock = clock;
  }

  /** A new one. @throws {TransientError} @throws {Refusal} when there are no credentials, or no region. */
  async get(): Promise<string> {
    try {
      const token = await this.#sign();
      this.#everSigned = true;
      return token;
    } catch (error) {
      if (isRetryable(error)) throw error;
      const message = `signing for MSK: ${messageOf(error)}`;
      // Credentials that were found once are there; whoever gives them may be away.
      if (this.#everSigned) throw new TransientError(message, { cause: error });
      throw new Refusal(
        `${message}: check source.sasl.region, and the credentials of the AWS profile or the environment`,
        { cause: error },
      );
    }
  }

  async #sign(): Promise<string> {
    const { region: known } = this.#signer;
    const region = typeof known === 'string' ? known : await known();
    const hostname = `kafka.${region}.amazonaws.com`;
    const signature = new SignatureV4({
      ...this.#signer,
      region,
      service: 'kafka-cluster',
      applyChecksum: false,
    });
    const { query = {} } = await signature.presign(
      {
        method: 'GET',
        protocol: 'https:',
        hostname,
        path: '/',
        query: { Action: 'kafka-cluster:Connect' },
        headers: { host: hostname },
      },
      { expiresIn: lifeSeconds, signingDate: new Date(this.#clock.nowMs()) },
    );
    // Not signed: who made it.
    const parameters = { ...(query as Record<string, string>), 'User-Agent': 'frazil' };
    const pairs = Object.entries(parameters).map(([name, value]) => `${escaped(name)}=${escaped(value)}`);
    return Buffer.from(`https://${hostname}/?${pairs.join('&')}`).toString('base64url');
  }
}

/** RFC 3986: more than encodeURIComponent has. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
