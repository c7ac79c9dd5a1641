import { assignorNames } from '../kafka/assignor.ts';
import { PatternError, TopicPattern } from '../kafka/topic-pattern.ts';
import { sasl, tls } from './access.ts';
import { column } from './columns.ts';
import { httpUrl, secret, secretive } from './secrets.ts';
import {
  dictionary,
  flag,
  type Invalid,
  invalid,
  isMapping,
  list,
  mapping,
  oneOf,
  oneOfOr,
  optional,
  quantity,
  required,
  type Setting,
  text,
  type ValueOf,
  variants,
  withDefault,
} from './setting.ts';
import { parseBytes, parseCount, parseDuration } from './units.ts';

/**
 * Every setting, declared once: what it means, its default and its unit. Checks, error texts and
 * `docs/configuration.md` all come from here.
 */

const duration = (min: string, max?: string): Setting<number> =>
  quantity('a duration', '60s, 5m or 1h', parseDuration, max ? { min, max } : { min });
const bytes = (min?: string): Setting<number> =>
  quantity('a size', '128MiB or 1GB', parseBytes, min ? { min } : {});
const count = (min: string, example = '5_000_000', max?: string): Setting<number> =>
  quantity('a whole number', example, parseCount, max ? { min, max } : { min });

const topicName = text(
  'a topic name (letters, digits, dots, dashes and underscores)',
  /^[a-zA-Z0-9._-]{1,249}$/,
);
const topicsPattern: Setting<TopicPattern> = {
  expected: 'a regular expression',
  read(value, path, report): TopicPattern | Invalid {
    const pattern = text('a regular expression, such as shop\\..*', /./).read(value, path, report);
    if (pattern === invalid) return invalid;
    try {
      return new TopicPattern(pattern);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      report(path, `expected a regular expression, found ${error.message} of ${pattern}`, error.fix);
      return invalid;
    }
  },
};
const instanceId = text(
  'an instance id (letters, digits, dots, dashes and underscores)',
  /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/,
);
const brokerAddress = text('host:port', /^[^\s,:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i);

const brokers: Setting<readonly string[]> = {
  expected: 'a list of host:port',
  // `a:9092,b:9092` is what other clients take, and what an environment variable holds.
  read: (value, path, report) =>
    list(brokerAddress, 1).read(
      typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value,
      path,
      report,
    ),
};

/** An ISO 8601 time as milliseconds since the epoch; without a zone it is UTC, wherever the program runs. */
const time: Setting<number> = {
  expected: 'an ISO 8601 time',
  read(value, path, report): number | Invalid {
    const form = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/;
    const [, day, clock = '00:00', zone = 'Z'] = (typeof value === 'string' && form.exec(value)) || [];
    const ms = Date.parse(`${day}T${clock}${zone}`);
    // Date.parse takes the 31st of February for the 3rd of March.
    const known = !Number.isNaN(ms) && new Date(`${day}T00:00Z`).toISOString().startsWith(day!);
    if (known) return ms;
    report(
      path,
      `expected earliest, latest or an ISO 8601 time, found ${JSON.stringify(value)}`,
      'write it like 2026-03-01T00:00:00Z',
    );
    return invalid;
  },
};

const token = mapping({ token: required(secret, 'Bearer token.') });
const login = mapping({ username: required(text(), 'User.'), password: required(secret, 'Password.') });
const auth = secretive<ValueOf<typeof token> | ValueOf<typeof login>>({
  expected: '{ username, password } or { token }',
  read: (value, path, report) =>
    isMapping(value) && 'token' in value ? token.read(value, path, report) : login.read(value, path, report),
});

const registry = mapping({
  url: required(
    text(
      'an http or https URL, without user and password (they go into auth)',
      /^https?:\/\/[^\s/@]+(\/\S*)?$/,
    ),
    'Base URL of a Confluent-compatible schema registry.',
  ),
  auth: optional(auth, '`{ username, password }` or `{ token }`. A secret may be `{ file: path }`.'),
});

const avro = mapping({ registry: required(registry, 'Where writer schemas come from.') });

const valueFormat = variants('format', {
  avro,
  json: mapping({
    envelope: withDefault(
      oneOf('none', 'connect'),
      'none',
      '`connect`: values are Kafka Connect\'s `{"schema": ..., "payload": ...}`.',
    ),
    epoch: withDefault(
      oneOf('s', 'ms', 'us', 'ns'),
      'ms',
      'Unit of numbers that go into time and timestamp columns.',
    ),
  }),
});

const keyFormat = variants('format', { bytes: mapping({}), string: mapping({}), json: mapping({}), avro });

const table = mapping({
  table: required(
    text('namespace.table, such as shop.orders', /^[^.\s]+(\.[^.\s]+)+$/),
    'Namespace and name of the Iceberg table.',
  ),
  topics: withDefault(
    list(topicName),
    [],
    'Topics that land in this table. A topic may go into several tables: each gets every record.',
  ),
  topicsPattern: optional(
    topicsPattern,
    'Further topics that land in this table: those of `source` whose whole name it matches. `.*` takes all.',
  ),
  create: withDefault(
    flag(),
    false,
    'Create the table when it does not exist: from `schema`, or from the Avro schema of the first record.',
  ),
  schema: withDefault(
    list(column),
    [],
    'Columns of a table to be created from JSON: `{ name, type, required, doc }`; nested: `fields` of a struct, `element` of a list, `key` and `value` of a map.',
  ),
  partitionBy: withDefault(
    list(text('a column or a transform of one')),
    [],
    'What divides a created table: columns, `year(c)`, `month(c)`, `day(c)` and `hour(c)` of dates and timestamps, `bucket(16, c)`, `truncate(4, c)`. A field of a struct is `address.city`.',
  ),
  metadataColumns: withDefault(
    flag(),
    true,
    'Give a created table `_kafka_topic`, `_kafka_partition`, `_kafka_offset` and `_kafka_timestamp`. Columns of these names are filled in every table that has them.',
  ),
  keyColumn: optional(
    text('a column name', /^\S+$/),
    'Column that takes the record key, decoded by `decode.key`. Without it keys are not landed.',
  ),
  properties: withDefault(
    dictionary(text()),
    {},
    'Table properties of a created table, such as `write.parquet.compression-codec`.',
  ),
  onRollback: withDefault(
    oneOf('halt', 'replay', 'skip'),
    'halt',
    'The table was rolled back behind what had landed: stop; land those offsets again; or leave them out.',
  ),
});

const catalogName = withDefault(
  text('a name', /\S/),
  'frazil',
  'Catalog name. Readers see the tables only under the same name.',
);
const warehouse = text('a folder or an s3:// URI', /^(?![a-z][a-z0-9+.-]+:)|^file:\/|^s3:\/\/[^/\s]+/i);
const region = text('a region, such as us-east-1', /^[a-z0-9-]+$/);
const endpoint = optional(httpUrl, 'URL of a service that stands in for AWS.');
const defaultRegion = 'Without it the environment or the AWS profile tells.';

const restAuth = secretive(
  variants('type', {
    none: mapping({}),
    bearer: mapping({ token: required(secret, 'Bearer token.') }),
    oauth2: mapping({
      credential: required(secret, 'Client id and secret, `id:secret`, for client credentials.'),
      serverUri: optional(httpUrl, "Token endpoint. Without it the catalog's own, `v1/oauth/tokens`."),
      scope: withDefault(text('a scope', /\S/), 'catalog', 'Scope that is asked for.'),
    }),
    sigv4: mapping({
      region: optional(region, `Region that requests are signed for. ${defaultRegion}`),
      service: withDefault(
        text('a service name, such as glue or s3tables', /^[a-z0-9-]+$/),
        'glue',
        'Service that requests are signed for.',
      ),
    }),
  }),
);

const catalog = variants('type', {
  sqlite: mapping({
    path: required(text('a path'), 'The SQLite file. Made when it does not exist.'),
    name: catalogName,
    warehouse: required(warehouse, 'Folder or `s3://` URI below which new tables are made.'),
  }),
  postgres: mapping({
    url: required(
      secret,
      '`postgres://user:password@host/database`. Parameters as libpq has them, such as `sslmode=verify-full`; docs/operating.md tells more.',
    ),
    name: catalogName,
    warehouse: required(warehouse, 'Folder or `s3://` URI below which new tables are made.'),
  }),
  glue: mapping({
    region: optional(region, `Region of the Data Catalog. ${defaultRegion}`),
    warehouse: required(
      text('an s3:// URI', /^s3:\/\/[^/\s]+(\/\S*)?$/),
      '`s3://` URI below which new tables are made.',
    ),
    catalogId: optional(
      text('an account id', /^\S+$/),
      "Account that owns the Data Catalog. Without it the caller's own.",
    ),
    createDatabase: withDefault(
      flag(),
      false,
      'Create the database when a table is to be created in it and it does not exist.',
    ),
    skipNameValidation: withDefault(
      flag(),
      false,
      'Take names of databases and tables that Athena does not (other than a-z, 0-9 and _).',
    ),
    endpoint,
  }),
  rest: mapping({
    uri: required(httpUrl, 'Base URL of an Iceberg REST catalog; `v1/config` is below it.'),
    warehouse: optional(text('a name or a URI', /\S/), 'Warehouse, as this catalog names it.'),
    auth: withDefault(restAuth, { type: 'none' }, 'How requests are authorised.'),
    vendedCredentials: withDefault(
      flag(),
      true,
      'Ask the catalog for credentials for the store. Where it gives none, those of the default chain are used.',
    ),
    headers: withDefault(dictionary(secret), {}, 'Further headers of each request.'),
  }),
});

const store = variants('type', {
  local: mapping({}),
  s3: mapping({
    region: optional(region, `Region of the buckets. ${defaultRegion}`),
    endpoint: optional(httpUrl, 'URL of an S3-compatible store.'),
    pathStyle: optional(
      flag(),
      'Put the bucket into the path instead of the host name. Without it: as `endpoint` is given.',
    ),
    encryption: optional(
      variants('type', {
        s3: mapping({}),
        kms: mapping({
          keyId: optional(text('a key id or ARN', /^\S+$/), "KMS key. Without it the account's key for S3."),
        }),
      }),
      'Server-side encryption to ask for: `{ type: s3 }` or `{ type: kms, keyId: ... }`. Without it the default of the bucket.',
    ),
  }),
});

export const settings = {
  pipeline: required(
    text('letters, digits, dots, dashes and underscores, at most 100', /^[a-zA-Z0-9._-]{1,100}$/),
    'Names the consumer group and the ledger in the tables. With another name everything starts over.',
  ),
  source: required(
    mapping({
      brokers: required(brokers, 'Bootstrap brokers, `host:port`.'),
      topics: withDefault(list(topicName), [], 'Topics to read.'),
      topicsPattern: optional(
        topicsPattern,
        "Further topics to read, also such as come later: those whose whole name it matches, as with Connect's `topics.regex`. Not those that begin with `__`; not those that go into no table. docs/kafka-topics.md tells more.",
      ),
      metadataMaxAge: withDefault(
        duration('1s', '1h'),
        '1m',
        'The cluster is asked this often at least which topics, partitions and leaders there are (`metadata.max.age.ms`).',
      ),
      partitions: optional(
        dictionary(list(count('0', '0'), 1), 'a mapping of topics to partition numbers'),
        'A fixed assignment instead of group membership, for jobs: `{ orders: [0, 1] }`.',
      ),
      groupProtocol: withDefault(
        oneOf('auto', 'consumer', 'classic'),
        'auto',
        'How workers share the partitions: `consumer` (KIP-848, Kafka 4.0 or newer), `classic`, or `consumer` where the brokers and the group have it.',
      ),
      groupInstanceId: optional(
        instanceId,
        'Makes the worker a static member: its partitions wait for it while it restarts, for as long as its session. Each worker needs one of its own, such as the name of its pod.',
      ),
      assignors: withDefault(
        list(oneOf(...assignorNames), 1),
        ['cooperative-sticky'],
        'Classic protocol: how the partitions are divided, the best first. All members of the group must have one in common.',
      ),
      sessionTimeout: withDefault(
        duration('1s', '30m'),
        '45s',
        'Classic protocol: a worker that has not been heard of for this long is replaced. For `consumer` it is a configuration of the group, `consumer.session.timeout.ms`.',
      ),
      rebalanceTimeout: withDefault(
        duration('4s', '1h'),
        '60s',
        'When partitions move, how long a worker may take to land what it holds of them (three quarters of this) and to say so, before the group takes them: as `max.poll.interval.ms` of Java.',
      ),
      clientRack: optional(
        text('a name', /\S/),
        'Where the worker runs, as brokers name it in `broker.rack` (in AWS: the availability zone id). Where brokers have a rack-aware `replica.selector.class`, partitions are fetched from replicas there; group members tell it to brokers and leaders that assign by rack.',
      ),
      batchBytesMax: withDefault(
        bytes('1MB'),
        '100MB',
        'A record batch with more bytes, compressed or decompressed, stops the worker with its topic, partition and offset: a few bytes can be made to stand for gigabytes.',
      ),
      startAt: withDefault(
        oneOfOr(['earliest', 'latest'], time),
        'earliest',
        'Where to begin with partitions that neither table nor group know.',
      ),
      onGap: withDefault(
        oneOf('halt', 'skip'),
        'halt',
        'Retention took records before they were read: stop; or go on behind them and record what was lost in the table.',
      ),
      onTopicRecreated: withDefault(
        oneOf('halt', 'restart'),
        'halt',
        'A topic was deleted and made anew: stop; or land the new one from its start.',
      ),
      onTruncation: withDefault(
        oneOf('halt', 'skip'),
        'halt',
        'Records that have landed are in Kafka no more, lost in an unclean leader election: stop; or keep their rows, leave out what is at their offsets now, and record that in the table.',
      ),
      tls: optional(
        tls,
        '`true`, or what is trusted and shown. Without it brokers are spoken to in plain text.',
      ),
      sasl: optional(sasl, 'How to log in at the brokers.'),
      accessGrace: withDefault(
        duration('0s', '1h'),
        '15s',
        'For how long a refused login, certificate or right is tried again before the worker stops. Brokers that have just started may not know users and rights yet.',
      ),
    }),
    'What to read.',
  ),
  decode: required(
    mapping({
      key: withDefault(keyFormat, { format: 'bytes' }, 'How record keys are encoded.'),
      value: required(valueFormat, 'How record values are encoded. `avro` is the Confluent wire format.'),
      onError: withDefault(
        oneOf('halt', 'skip'),
        'halt',
        'A record cannot be decoded: stop with its offset unmoved; or leave it out. Either way it is logged and counted.',
      ),
      onTombstone: withDefault(
        oneOf('halt', 'skip'),
        'skip',
        'A record has no value: stop; or leave it out and count it.',
      ),
    }),
    'How bytes become columns.',
  ),
  catalog: required(catalog, 'Where tables are registered.'),
  store: optional(
    store,
    'Where data and metadata files are kept, when the defaults for `warehouse` do not do. Credentials come from the default AWS chain: environment, profile, SSO, ECS, EKS Pod Identity, IRSA.',
  ),
  tables: required(list(table, 1), 'Where records go.'),
  commit: withDefault(
    mapping({
      interval: withDefault(duration('100ms', '6h'), '60s', 'Age of the oldest record that has not landed.'),
      bytes: withDefault(bytes('1'), '128MiB', 'Key and value bytes that have not landed.'),
      rows: withDefault(count('1'), '5_000_000', 'Rows that have not landed.'),
    }),
    {},
    'A table is committed when any of these is reached.',
  ),
  memory: withDefault(
    mapping({
      held: withDefault(
        bytes('32MiB'),
        '512MiB',
        'Hard bound on bytes read and not yet landed. Kafka is paused above it.',
      ),
    }),
    {},
    'Bounds.',
  ),
  lanes: withDefault(
    oneOfOr(['auto'], count('1', '2', '64')),
    'auto',
    'Worker threads that decode and encode. `auto`: one less than the cores, at least one.',
  ),
  log: withDefault(
    mapping({
      level: withDefault(oneOf('debug', 'info', 'warn', 'error'), 'info', 'Least level that is written.'),
      statusInterval: withDefault(
        duration('1s', '1h'),
        '10s',
        'How often a status line is written when no person watches.',
      ),
    }),
    {},
    'What is told.',
  ),
  shutdown: withDefault(
    mapping({
      grace: withDefault(duration('0s', '1h'), '25s', 'How long a stop may take to land what was read.'),
    }),
    {},
    'How to stop.',
  ),
};

export type RawConfig = ValueOf<ReturnType<typeof mapping<typeof settings>>>;
