/** How S3 is reached. What is absent comes from the environment or from the AWS profile. Plain data. */
export interface S3Settings {
  readonly region?: string | undefined;
  /** URL of an S3-compatible store. */
  readonly endpoint?: string | undefined;
  /** The bucket in the path instead of the host name; absent: as `endpoint` is given. */
  readonly pathStyle?: boolean | undefined;
  readonly encryption?: { type: 's3' } | { type: 'kms'; keyId?: string | undefined } | undefined;
}

/** How stores are reached. Plain data: it crosses threads. */
export interface StoreSettings {
  readonly s3: S3Settings;
}
