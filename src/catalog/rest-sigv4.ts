import { S3Client } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import { FatalError, isRetryable, messageOf, TransientError } from '../base/errors.ts';
import type { HttpRequest } from '../base/http.ts';
import type { Authorizer } from './rest-auth.ts';

/** Whose signature, and for which region: in the form the signer takes them. */
export type Signer = Pick<ConstructorParameters<typeof SignatureV4>[0], 'credentials' | 'region' | 'sha256'>;

/** What the AWS SDK finds by itself: the default credential chain, and a region if none is given. */
export function defaultSigner(region: string | undefined): Signer {
  const { config } = new S3Client(region === undefined ? {} : { region });
  // Its types leave open that it has none.
  const sha256 = config.sha256 as Signer['sha256'];
  return { credentials: config.credentials, region: config.region, sha256 };
}

/**
 * Signs requests as AWS's REST catalogs want it (Signature Version 4; Java `RESTSigV4AuthSession`): over the path as it
 * is sent, encoded once more, and with the hash of the body as a header.
 */
export function sigv4Authorizer(
  service: string,
  signer: Signer,
  now: () => Date = () => new Date(),
): Authorizer {
  const signature = new SignatureV4({ ...signer, service });
  let everSigned = false;
  return {
    async headersFor(request) {
      try {
        const signed = await signature.sign(unsigned(request), { signingDate: now() });
        everSigned = true;
        const { host: _, ...headers } = signed.headers;
        return headers;
      } catch (error) {
        if (isRetryable(error)) throw error;
        const message = `signing a request to ${request.url}: ${messageOf(error)}`;
        // Credentials that were found once are there; whoever gives them may be away.
        if (everSigned) throw new TransientError(message, { cause: error });
        throw new FatalError(
          `${message}: check catalog.auth.region, and the credentials of the AWS profile or the environment`,
          { cause: error },
        );
      }
    },
    refused: () => false,
  };
}

function unsigned({ method, url, headers, body }: HttpRequest): Parameters<SignatureV4['sign']>[0] & object {
  const { protocol, hostname, host, pathname, searchParams } = new URL(url);
  return {
    method,
    protocol,
    hostname,
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: { ...headers, host },
    body,
  } as never;
}
