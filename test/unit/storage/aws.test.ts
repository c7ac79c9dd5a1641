import { expect, test } from 'vitest';
import { FatalError, TransientError } from '../../../src/base/errors.ts';
import { awsError, awsFailure } from '../../../src/storage/aws.ts';

const call = { grant: 'glue:GetTable on shop.orders', regionSetting: 'catalog.region' };

interface Thrown {
  name?: string;
  code?: string;
  message?: string;
  status?: number;
  attempts?: number;
}

function thrown({ name = 'Error', code, message = '', status, attempts = 1 }: Thrown): Error {
  const $metadata = { attempts, ...(status === undefined ? {} : { httpStatusCode: status }) };
  return Object.assign(new Error(message), { name, $metadata, ...(code === undefined ? {} : { code }) });
}

test.each<Thrown>([
  { code: 'ECONNRESET', message: 'read ECONNRESET' },
  { code: 'ECONNREFUSED' },
  { code: 'ENOTFOUND' },
  { code: 'EAI_AGAIN' },
  { code: 'EPIPE' },
  { name: 'TimeoutError' },
  { name: 'ThrottlingException', status: 400 },
  { name: 'ProvisionedThroughputExceededException', status: 400 },
  { name: 'SlowDown', status: 503 },
  { name: 'TooManyRequests', status: 429 },
  { name: 'InternalServiceException', status: 500 },
  { name: 'UnknownError', status: 502 },
  { name: 'RequestTimeout', status: 400 },
  { name: 'OperationAborted', status: 409 },
])('%j may pass', (failure) => {
  const error = awsError('loading table shop.orders', thrown(failure), call);
  expect(error).toBeInstanceOf(TransientError);
  expect(error.message).toMatch(/^loading table shop\.orders: [A-Z]/i);
});

test.each<[Thrown, string]>([
  [
    { name: 'AccessDeniedException', status: 400, message: 'User: x is not authorized' },
    'access denied: grant glue:GetTable on shop.orders (AccessDeniedException: User: x is not authorized, status 400)',
  ],
  [
    { name: 'UnrecognizedClientException', status: 400, message: 'The security token is invalid.' },
    'the credentials are not accepted: check access key, secret and session token (UnrecognizedClientException: The security token is invalid, status 400)',
  ],
  [
    { name: 'InvalidSignatureException', status: 400, message: 'Signature expired: 1 is now earlier than 2' },
    "this machine's clock is off: set it (InvalidSignatureException: Signature expired: 1 is now earlier than 2, status 400)",
  ],
  [
    { name: 'ExpiredTokenException', status: 400, message: 'expired' },
    'the credentials are expired: renew them (ExpiredTokenException: expired, status 400)',
  ],
  [
    { code: 'SELF_SIGNED_CERT_IN_CHAIN', message: 'self-signed certificate' },
    "the server's certificate is not trusted: name its authority in NODE_EXTRA_CA_CERTS (SELF_SIGNED_CERT_IN_CHAIN: self-signed certificate)",
  ],
  [
    { message: 'Region is missing' },
    'no region found: set catalog.region or AWS_REGION (Error: Region is missing)',
  ],
  [{ name: 'InvalidInputException', status: 400, message: 'bad' }, 'InvalidInputException: bad, status 400'],
  [{ name: 'TypeError', message: 'a is not a function' }, 'TypeError: a is not a function'],
])('%j is for a person', (failure, message) => {
  const error = awsError('loading table shop.orders', thrown(failure), call);
  expect(error).toBeInstanceOf(FatalError);
  expect(error.message).toBe(`loading table shop.orders: ${message}`);
});

test('a failure tells its code, whether there was an answer, and whether the request was sent again', () => {
  expect(awsFailure(thrown({ name: 'NoSuchKey', status: 404 }))).toEqual({
    code: 'NoSuchKey',
    status: 404,
    retried: false,
  });
  expect(awsFailure(thrown({ code: 'ECONNRESET', attempts: 3 }))).toEqual({
    code: 'ECONNRESET',
    status: undefined,
    retried: true,
  });
  expect(awsFailure('nonsense')).toEqual({ code: '', status: undefined, retried: false });
});
