import { FatalError, messageOf, TransientError } from '../base/errors.ts';

/** What is known of a failed call to AWS, or to what speaks like it. */
export interface AwsFailure {
  /** The service's error code (`NoSuchKey`), else Node's (`ECONNRESET`), else the error's name (`TimeoutError`). */
  readonly code: string;
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** The SDK has sent the request more than once: the answer may be about its own earlier try. */
  readonly retried: boolean;
}

interface SdkError extends Error {
  code?: unknown;
  $metadata?: { httpStatusCode?: number; attempts?: number };
}

/** Reads what a client of the AWS SDK has thrown. */
export function awsFailure(error: unknown): AwsFailure {
  const { name, code, $metadata } = (error ?? {}) as SdkError;
  const status = $metadata?.httpStatusCode;
  return {
    code: status === undefined && typeof code === 'string' ? code : (name ?? ''),
    status,
    retried: ($metadata?.attempts ?? 1) > 1,
  };
}

/** What messages say of a call, so that a person can act on its failure. */
export interface AwsCall {
  /** What allows it: `s3:PutObject on arn:aws:s3:::lake/orders/a.parquet`. */
  readonly grant: string;
  /** The setting that has its region: `store.region`. */
  readonly regionSetting: string;
  /** Its credentials come from a catalog, which is asked again before the next try. */
  readonly vended?: boolean | undefined;
}

/** One may pass, the other is for a person. What is about one service only its own code knows. */
export type AwsError = TransientError | FatalError;

/**
 * A failed call in our terms: what may pass by itself is transient, everything else names what to change. Whether the
 * call was carried out is unknown unless there was an answer and {@link AwsFailure.retried} is false.
 */
export function awsError(doing: string, error: unknown, call: AwsCall): AwsError {
  const failure = awsFailure(error);
  const told = toldBy(failure, error);
  const advice = adviceOn(failure, messageOf(error), call);
  if (advice) return new FatalError(`${doing}: ${advice} (${told})`, { cause: error });
  if (call.vended && expiredCodes.has(failure.code))
    return new TransientError(`${doing}: the credentials that the catalog has vended are expired (${told})`, {
      cause: error,
    });
  return mayPass(failure)
    ? new TransientError(`${doing}: ${told}`, { cause: error })
    : new FatalError(`${doing}: ${told}`, { cause: error });
}

/** `AccessDenied: Access Denied, status 403` */
function toldBy({ code, status }: AwsFailure, error: unknown): string {
  const message = messageOf(error);
  const text = message === '' || message.startsWith(code) ? message || code : `${code}: ${message}`;
  return status === undefined ? text : `${text}, status ${status}`;
}

// S3 and Glue call the same things differently.
const expiredCodes = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
const skewCodes = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const wrongKeyCodes = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidToken',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'UnrecognizedClientException',
  'IncompleteSignature',
  'MissingAuthenticationToken',
]);
const noKeyCodes = new Set(['CredentialsProviderError', 'TokenProviderError']);

/** What a person should change; undefined when that is not known, or nothing need be changed. */
function adviceOn({ code, status }: AwsFailure, message: string, call: AwsCall): string | undefined {
  // Glue knows a late signature only by its text.
  if (skewCodes.has(code) || /^Signature (expired|not yet current)/.test(message))
    return "this machine's clock is off: set it";
  if (expiredCodes.has(code)) return call.vended ? undefined : 'the credentials are expired: renew them';
  if (wrongKeyCodes.has(code))
    return 'the credentials are not accepted: check access key, secret and session token';
  if (noKeyCodes.has(code))
    return 'no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or give this machine a role';
  if (message.startsWith('Region is missing'))
    return `no region found: set ${call.regionSetting} or AWS_REGION`;
  if (/^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT)/.test(code))
    return "the server's certificate is not trusted: name its authority in NODE_EXTRA_CA_CERTS";
  if (status === 403 || code === 'AccessDeniedException') return `access denied: grant ${call.grant}`;
  return undefined;
}

const passingCodes = new Set([
  // With status 400: to S3 a request that was cut or damaged on its way is a bad one.
  'RequestTimeout',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  // With status 409: another write of the same object was under way.
  'ConditionalRequestConflict',
  'OperationAborted',
  // Too many.
  'LimitExceededException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'SlowDown',
  'TooManyRequestsException',
  // No answer.
  'TimeoutError',
  'AbortError',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

function mayPass({ code, status }: AwsFailure): boolean {
  return (
    passingCodes.has(code) ||
    code.includes('Throttl') ||
    status === 408 ||
    status === 429 ||
    // 501: it will never know how.
    (status !== undefined && status >= 500 && status !== 501)
  );
}
