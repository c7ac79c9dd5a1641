import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { ConfigError, type ConfigProblem, messageOf } from '../base/errors.ts';
import type { TlsSettings } from '../kafka/access.ts';
import { tlsProblems } from '../kafka/tls.ts';
import { checkConfig } from './checks.ts';
import { type RawConfig, settings } from './schema.ts';
import { SecretFile } from './secrets.ts';
import { invalid, isMapping, mapping, type Path, type Report } from './setting.ts';
import { parseYaml } from './yaml.ts';

/** The configuration as the program uses it: checked, with defaults, units, paths and secrets resolved. Frozen. */
export type Config = Omit<RawConfig, Secretive> & { readonly [K in Secretive]: Open<RawConfig[K]> };

/** The settings that may hold secrets, but for `source`: its files are read again and again, for they may be renewed. */
type Secretive = 'decode' | 'catalog';

/** With secrets in the place of the files that hold them. */
type Open<T> = T extends SecretFile ? never : T extends object ? { readonly [K in keyof T]: Open<T[K]> } : T;

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
  const open = <K extends Secretive>(name: K): Config[K] =>
    openSecrets(raw[name], [name], inFolder, report) as Config[K];
  const source = locateSecrets(raw.source, ['source'], inFolder, report) as RawConfig['source'];
  if (source.tls) checkTls(source.tls, report);
  return { ...raw, source, decode: open('decode'), catalog: withPaths(open('catalog'), inFolder) };
}

function withPaths(catalog: Config['catalog'], inFolder: (path: string) => string): Config['catalog'] {
  switch (catalog.type) {
    case 'sqlite':
      return { ...catalog, path: inFolder(catalog.path), warehouse: inFolder(catalog.warehouse) };
    case 'postgres':
      return { ...catalog, warehouse: inFolder(catalog.warehouse) };
    default:
      return catalog;
  }
}

/** A value with secrets in the place of the files that hold them. */
function openSecrets(
  value: unknown,
  path: Path,
  inFolder: (path: string) => string,
  report: Report,
): unknown {
  if (value instanceof SecretFile) return readSecret(inFolder(value.path), [...path, 'file'], report);
  if (!isMapping(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, openSecrets(each, [...path, name], inFolder, report)]),
  );
}

/** A value whose files of secrets can be found from anywhere: they are read when they are needed. */
function locateSecrets(
  value: unknown,
  path: Path,
  inFolder: (path: string) => string,
  report: Report,
): unknown {
  if (value instanceof SecretFile) {
    const located = new SecretFile(inFolder(value.path));
    readSecret(located.path, [...path, 'file'], report);
    return located;
  }
  if (!isMapping(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      locateSecrets(each, [...path, name], inFolder, report),
    ]),
  );
}

/** Certificates and keys that no connection could be made with. */
function checkTls(tls: TlsSettings, report: Report): void {
  const names = ['ca', 'cert', 'key', 'keyPassword'] as const;
  const texts = Object.fromEntries(
    names.flatMap((name) => {
      const secret = tls[name];
      if (secret === undefined) return [];
      return [[name, typeof secret === 'string' ? secret : readSecret(secret.path, [], () => {})]];
    }),
  );
  // A file that cannot be read has been told already.
  if (Object.values(texts).includes('')) return;
  for (const { setting, message } of tlsProblems(texts)) report(['source', 'tls', setting], message);
}

function readSecret(file: string, path: Path, report: Report): string {
  try {
    const text = readFileSync(file, 'utf8').trim();
    if (text === '') report(path, 'the file of the secret is empty');
    return text;
  } catch (error) {
    report(path, `the secret cannot be read: ${messageOf(error)}`);
    return '';
  }
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object')
    for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
