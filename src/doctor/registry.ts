import { NotFoundError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { RegistryOptions } from '../decode/registry.ts';
import { type Check, failed, type Outcome, ok, warning } from './check.ts';

/** One question to a registry, answered with JSON. @throws {NotFoundError} when the registry says so. */
export type AskRegistry = (options: RegistryOptions, path: string) => Promise<unknown>;

/** For each registry, whether it answers and has schemas for the topics, as producers usually name them. */
export function registryChecks(
  config: Pick<Config, 'decode' | 'source' | 'tables'>,
  ask: AskRegistry,
): Check[] {
  const { key, value } = config.decode;
  const registries = new Map<string, { options: RegistryOptions; subjects: string[] }>();
  const add = (options: RegistryOptions, topics: readonly string[], suffix: string): void => {
    const known = registries.get(options.url) ?? { options, subjects: [] };
    known.subjects.push(...topics.map((topic) => `${topic}-${suffix}`));
    registries.set(options.url, known);
  };
  if (value.format === 'avro') add(value.registry, config.source.topics, 'value');
  const keyed = config.tables.filter(({ keyColumn }) => keyColumn !== undefined);
  if (key.format === 'avro' && keyed.length > 0)
    add(key.registry, [...new Set(keyed.flatMap(({ topics }) => topics))], 'key');
  return [...registries.values()].map(({ options, subjects }) => ({
    what: 'registry',
    run: () => checkRegistry(options, subjects, ask),
  }));
}

async function checkRegistry(
  options: RegistryOptions,
  subjects: readonly string[],
  ask: AskRegistry,
): Promise<Outcome> {
  const found: string[] = [];
  const missing: string[] = [];
  // Which topics there will be only Kafka knows.
  if (subjects.length === 0) await ask(options, '/subjects');
  for (const subject of subjects) {
    try {
      const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`;
      const { version, schemaType = 'AVRO' } = (await ask(options, path)) as {
        version?: number;
        schemaType?: string;
      };
      if (schemaType !== 'AVRO')
        return failed(
          `subject ${subject} is ${schemaType}, not AVRO`,
          'only Avro is decoded with a registry',
        );
      found.push(`${subject} has version ${version}`);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      missing.push(subject);
    }
  }
  const text = [`${options.url} answers`, ...found].join('; ');
  if (missing.length === 0) return ok(text);
  return warning(
    `${text}; it has no subject ${missing.join(', ')}`,
    'register the schemas; nothing, if producers name their subjects otherwise',
  );
}
