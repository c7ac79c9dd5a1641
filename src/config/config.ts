import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { ConfigError, type ConfigProblem, messageOf } from '../base/errors.ts';
import type { RegistryOptions } from '../decode/registry.ts';
import { checkConfig } from './checks.ts';
import { type RawConfig, type Secret, settings } from './schema.ts';
import { invalid, mapping, type Path, type Report } from './setting.ts';
import { parseYaml } from './yaml.ts';

/** The configuration as the program uses it: checked, with defaults, units, paths and secrets resolved. Frozen. */
export type Config = Omit<RawConfig, 'decode'> & { readonly decode: Decode };

type Decode = Omit<RawConfig['decode'], 'key' | 'value'> & {
  readonly key: WithRegistry<RawConfig['decode']['key']>;
  readonly value: WithRegistry<RawConfig['decode']['value']>;
};

/** The same format with the registry's secrets in place. */
type WithRegistry<F extends { format: string }> = F extends { format: 'avro' }
  ? { format: 'avro'; registry: RegistryOptions }
  : F;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads and checks a configuration file. Relative paths in it are relative to its folder. @throws {ConfigError} */
export function loadConfig(file: string, environment: Environment = process.env): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ path: '', message: messageOf(error), fix: 'name the file with -c' }], file);
  }
  return parseConfig(text, environment, dirname(resolve(file)), file);
}

/** As {@link loadConfig} for text. @throws {ConfigError} with every problem found, in the order of the file. */
export function parseConfig(text: string, environment: Environment, folder: string, file?: string): Config {
  const yaml = parseYaml(text, environment);
  const problems: ConfigProblem[] = [...yaml.problems];
  const report: Report = (path, message, fix, at) => {
    const place = yaml.locate(path, at === 'key');
    // A value whose variable is not set is wrong in every other way too.
    if (place && yaml.problems.some(({ line, column }) => line === place.line && column === place.column))
      return;
    problems.push({ path: pathText(path), ...place, message, fix });
  };
  // After a syntax error the values are not what the author meant: only the error is told.
  const raw = yaml.sound ? mapping(settings, checkConfig).read(yaml.values, [], report) : invalid;
  const config = raw === invalid ? undefined : complete(raw, folder, report);
  if (problems.length > 0) throw new ConfigError(problems.sort(byPlace), file);
  return deepFreeze(config!);
}

function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** `tables[0].schema[2].type` */
function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** Resolves what depends on files and folders. */
function complete(raw: RawConfig, folder: string, report: Report): Config {
  const inFolder = (path: string): string =>
    isAbsolute(path) || /^[a-z][a-z0-9+.-]+:/i.test(path) ? path : resolve(folder, path);
  const { key, value } = raw.decode;
  const catalog = {
    ...raw.catalog,
    path: inFolder(raw.catalog.path),
    warehouse: inFolder(raw.catalog.warehouse),
  };
  const decode: Decode = {
    ...raw.decode,
    key:
      key.format === 'avro'
        ? { ...key, registry: withSecrets(key.registry, ['decode', 'key'], inFolder, report) }
        : key,
    value:
      value.format === 'avro'
        ? { ...value, registry: withSecrets(value.registry, ['decode', 'value'], inFolder, report) }
        : value,
  };
  return { ...raw, catalog, decode };
}

function withSecrets(
  registry: {
    readonly url: string;
    readonly auth: { username: string; password: Secret } | { token: Secret } | undefined;
  },
  path: Path,
  inFolder: (path: string) => string,
  report: Report,
): RegistryOptions {
  const { url, auth } = registry;
  if (!auth) return { url };
  const resolveSecret = (secret: Secret, name: string): string => {
    if (typeof secret === 'string') return secret;
    const place = [...path, 'registry', 'auth', name, 'file'];
    try {
      const text = readFileSync(inFolder(secret.file), 'utf8').trim();
      if (text === '') report(place, 'the file of the secret is empty');
      return text;
    } catch (error) {
      report(place, `the secret cannot be read: ${messageOf(error)}`);
      return '';
    }
  };
  if ('token' in auth) return { url, auth: { token: resolveSecret(auth.token, 'token') } };
  return { url, auth: { username: auth.username, password: resolveSecret(auth.password, 'password') } };
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object')
    for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
