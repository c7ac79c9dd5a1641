import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { TableIdentifier } from '../../src/catalog/catalog.ts';
import { RestCatalog } from '../../src/catalog/rest.ts';
import type { RestSettings } from '../../src/catalog/rest-client.ts';
import { LocalStore } from '../../src/storage/local.ts';
import { S3Store } from '../../src/storage/s3.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Localstack } from './localstack.ts';
import { checkedFetch } from './rest-spec.ts';

/** A real REST catalog, and how it is opened by us, by hand, and by others. */
export interface RestServer {
  readonly settings: RestSettings;
  /** Where the files of its tables are. */
  readonly store: Store;
  /** What Java and PyIceberg need to open it. */
  readonly catalog: Readonly<Record<string, string>>;
  /** What was asked or answered other than specified. */
  readonly violations: readonly string[];
  /** A client of ours; its requests and their answers are checked. */
  client(more?: Partial<RestSettings>): RestCatalog;
  drop(identifier: TableIdentifier): Promise<void>;
  addColumn(identifier: TableIdentifier, name: string): Promise<void>;
}

/** Apache's own, its tables in local files. */
export function apacheServer({ env }: Pick<Localstack, 'env'>): RestServer {
  const uri = env['FRAZIL_ICEBERG_REST']!;
  const settings = { uri, auth: { type: 'none' }, vendedCredentials: true, headers: {} } as const;
  // Its HTTP server refuses control characters in paths, so it has another separator.
  return server(settings, new LocalStore(), `${uri}/v1`, '%2E', { type: 'rest', uri });
}

export function seaweedServer({ env }: Pick<Localstack, 'env'>): RestServer {
  const uri = env['FRAZIL_SEAWEEDFS_REST']!;
  const warehouse = env['FRAZIL_SEAWEEDFS_WAREHOUSE']!;
  const credential = `${env['FRAZIL_SEAWEEDFS_ACCESS_KEY']}:${env['FRAZIL_SEAWEEDFS_SECRET_KEY']}`;
  return server(
    {
      uri,
      warehouse,
      auth: { type: 'oauth2', credential, scope: 'catalog' },
      vendedCredentials: true,
      headers: {},
    },
    seaweedStore(env),
    `${uri}/v1/${warehouse.replace('s3://', '')}`,
    '%1F',
    {
      type: 'rest',
      uri,
      warehouse,
      credential,
      scope: 'catalog',
      'rest.auth.type': 'oauth2',
      ...s3Properties(env),
    },
  );
}

/** Shows only the newest snapshot of a table. Its tables are on SeaweedFS. */
export function nessieServer({ env }: Pick<Localstack, 'env'>): RestServer {
  const uri = env['FRAZIL_NESSIE_REST']!;
  return server(
    { uri, warehouse: 'lake', auth: { type: 'none' }, vendedCredentials: true, headers: {} },
    seaweedStore(env),
    `${uri}/v1/main%7Clake`,
    '%1F',
    { type: 'rest', uri, warehouse: 'lake', ...s3Properties(env) },
  );
}

function seaweedStore(env: Localstack['env']): Store {
  const [accessKeyId, secretAccessKey] = [
    env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!,
    env['FRAZIL_SEAWEEDFS_SECRET_KEY']!,
  ];
  return new S3Store({ endpoint: env['FRAZIL_SEAWEEDFS_S3']! }, async () => ({
    prefix: 's3://',
    accessKeyId,
    secretAccessKey,
  }));
}

export function s3Properties(env: Localstack['env']): Record<string, string> {
  return {
    'io-impl': 'org.apache.iceberg.aws.s3.S3FileIO',
    's3.endpoint': env['FRAZIL_SEAWEEDFS_S3']!,
    's3.access-key-id': env['FRAZIL_SEAWEEDFS_ACCESS_KEY']!,
    's3.secret-access-key': env['FRAZIL_SEAWEEDFS_SECRET_KEY']!,
    's3.path-style-access': 'true',
    'client.region': 'us-east-1',
    's3.region': 'us-east-1',
    'http-client.type': 'urlconnection',
  };
}

/** `base` is what the server's paths are below, its prefix included; `separator` is between levels of a namespace. */
function server(
  settings: RestSettings,
  store: Store,
  base: string,
  separator: string,
  catalog: Readonly<Record<string, string>>,
): RestServer {
  const checked = checkedFetch(fetch);
  const ports = { clock: systemClock, random: systemRandom, fetch: checked.fetch };
  const tableUrl = ({ namespace, name }: TableIdentifier): string =>
    `${base}/namespaces/${namespace.join(separator)}/tables/${name}`;
  const byHand = async (method: string, url: string, body?: object): Promise<string> => {
    const init = { method, headers: { 'content-type': 'application/json', ...(await tokenOf(settings)) } };
    const answer = await fetch(url, body ? { ...init, body: JSON.stringify(body) } : init);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
    return text;
  };
  return {
    settings,
    store,
    catalog,
    violations: checked.violations,
    client: (more = {}) => new RestCatalog({ ...settings, ...more }, ports),
    async drop(identifier) {
      await byHand('DELETE', tableUrl(identifier));
    },
    async addColumn(identifier, name) {
      const { metadata } = JSON.parse(await byHand('GET', tableUrl(identifier))) as { metadata: Metadata };
      const current = metadata.schemas.find((each) => each['schema-id'] === metadata['current-schema-id'])!;
      const id = metadata['last-column-id'] + 1;
      const schema = {
        type: 'struct',
        'schema-id': metadata['current-schema-id'] + 1,
        fields: [...current.fields, { id, name, required: false, type: 'string' }],
      };
      await byHand('POST', tableUrl(identifier), {
        requirements: [{ type: 'assert-table-uuid', uuid: metadata['table-uuid'] }],
        updates: [
          { action: 'add-schema', schema, 'last-column-id': id },
          { action: 'set-current-schema', 'schema-id': -1 },
        ],
      });
    },
  };
}

interface Metadata {
  'table-uuid': string;
  schemas: { 'schema-id': number; fields: object[] }[];
  'current-schema-id': number;
  'last-column-id': number;
}

async function tokenOf({ uri, auth }: RestSettings): Promise<Record<string, string>> {
  if (auth.type !== 'oauth2') return {};
  const [id, secret] = auth.credential.split(':') as [string, string];
  const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret, scope: auth.scope };
  const answer = await fetch(`${uri}/v1/oauth/tokens`, { method: 'POST', body: new URLSearchParams(form) });
  const { access_token } = (await answer.json()) as { access_token: string };
  return { authorization: `Bearer ${access_token}` };
}
