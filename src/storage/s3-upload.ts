import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

/** How bodies are cut. */
export interface UploadLimits {
  /**
   * Larger bodies go in slices. A request needs its body in one piece, so one that came in several is copied together:
   * this is also how much memory an upload takes beside its body. (A stream would save that; but a stream cannot be
   * sent again when the connection breaks, and stores other than AWS refuse its signatures or its small chunks.)
   */
  readonly wholeBytesMax: number;
  /** S3 takes 10,000 of at least 5 MiB. */
  readonly sliceBytes: number;
}

/** Slices of 16 MiB make files of up to 156 GiB; with four in flight an upload copies 64 MiB at most, as without. */
export const uploadLimits: UploadLimits = { wholeBytesMax: 64 * 1024 * 1024, sliceBytes: 16 * 1024 * 1024 };
const slicesInFlightMax = 4;

/** The metadata that tells an object of ours from another of the same name. */
const digestName = 'frazil-sha256';

/** A body, and what goes into one request. */
interface Slice {
  readonly pieces: readonly Uint8Array[];
  readonly sha256: string;
}

/** A body in the slices it is sent in. */
export interface Body {
  readonly slices: readonly Slice[];
  /** Of the whole body if it is one slice, else of the digests of its slices. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Where it goes, and how it is encrypted there. */
export type Target = Pick<
  CreateMultipartUploadCommandInput,
  'Bucket' | 'Key' | 'ServerSideEncryption' | 'SSEKMSKeyId'
>;

/** Cuts and digests a body. Nothing is copied. */
export function bodyOf(parts: readonly Uint8Array[], limits: UploadLimits): Body {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const slices = cut(parts, size > limits.wholeBytesMax ? limits.sliceBytes : size).map(digested);
  const digest =
    slices.length === 1 ? slices[0]!.sha256 : sha256(slices.map((slice) => Buffer.from(slice.sha256, 'hex')));
  return { slices, metadata: { [digestName]: digest } };
}

/** Whether an object with this metadata has that body. */
export function isBody(body: Body, metadata: Readonly<Record<string, string>> | undefined): boolean {
  return metadata?.[digestName] === body.metadata[digestName];
}

/** Writes a new object. @throws what the client throws; then no parts are left, unless that could not be had either. */
export async function upload(client: S3Client, target: Target, body: Body): Promise<void> {
  if (body.slices.length > 1) return uploadInParts(client, target, body);
  const [slice] = body.slices;
  const put = new PutObjectCommand({
    ...target,
    Body: joined(slice!),
    Metadata: body.metadata,
    IfNoneMatch: '*',
  });
  await client.send(signedAs(put, slice!));
}

async function uploadInParts(client: S3Client, target: Target, body: Body): Promise<void> {
  const { Bucket, Key } = target;
  const checksums = (await client.config.requestChecksumCalculation()) === 'WHEN_SUPPORTED';
  const { UploadId } = await client.send(
    // Parts may have a checksum only if the upload was begun with one.
    new CreateMultipartUploadCommand({
      ...target,
      Metadata: body.metadata,
      ...(checksums ? { ChecksumAlgorithm: 'CRC32' } : {}),
    }),
  );
  const place = { Bucket, Key, UploadId };
  try {
    const Parts = await sendSlices(client, place, body.slices);
    await client.send(
      new CompleteMultipartUploadCommand({ ...place, MultipartUpload: { Parts }, IfNoneMatch: '*' }),
    );
  } catch (error) {
    // If it was completed after all there is nothing to abort. What cannot be aborted is for the bucket's lifecycle.
    await client.send(new AbortMultipartUploadCommand(place)).catch(() => {});
    throw error;
  }
}

/** Sends all slices, a few at once. The first failure ends the others, and is thrown when they have ended. */
async function sendSlices(
  client: S3Client,
  place: { Bucket: string | undefined; Key: string | undefined; UploadId: string | undefined },
  slices: readonly Slice[],
): Promise<CompletedPart[]> {
  const stop = new AbortController();
  const sent: CompletedPart[] = [];
  let next = 0;
  let failure: unknown;
  const sender = async (): Promise<void> => {
    while (next < slices.length && !stop.signal.aborted) {
      const slice = slices[next++]!;
      const PartNumber = next;
      const part = new UploadPartCommand({ ...place, PartNumber, Body: joined(slice) });
      const { ETag, ChecksumCRC32 } = await client.send(signedAs(part, slice), { abortSignal: stop.signal });
      sent[PartNumber - 1] = { PartNumber, ETag, ...(ChecksumCRC32 ? { ChecksumCRC32 } : {}) };
    }
  };
  const senders = Array.from({ length: slicesInFlightMax }, () =>
    sender().catch((error: unknown) => {
      failure ??= error;
      stop.abort();
    }),
  );
  await Promise.all(senders);
  if (failure !== undefined) throw failure;
  return sent;
}

/** The signature covers the body by its digest, which is known already. */
function signedAs<Command extends PutObjectCommand | UploadPartCommand>(
  command: Command,
  { sha256 }: Slice,
): Command {
  // The two have the same stack, but for the types of what goes through it.
  (command as PutObjectCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'digest' },
  );
  return command;
}

/** Consecutive slices of at most `bytes`, as views: one even of an empty body. */
function cut(parts: readonly Uint8Array[], bytes: number): Uint8Array[][] {
  const slices: Uint8Array[][] = [[]];
  let room = bytes;
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      if (room === 0) {
        slices.push([]);
        room = bytes;
      }
      const piece = part.subarray(from, from + room);
      slices.at(-1)!.push(piece);
      from += piece.length;
      room -= piece.length;
    }
  }
  return slices;
}

const digested = (pieces: readonly Uint8Array[]): Slice => ({ pieces, sha256: sha256(pieces) });

function joined({ pieces }: Slice): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

function sha256(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
