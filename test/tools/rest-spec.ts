import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { parseJson } from '../../src/base/json.ts';

/**
 * Checks what is asked of Iceberg REST catalogs, and what they answer, against their specification
 * (test/spec/rest-catalog-open-api.yaml).
 */

interface Operation {
  parameters?: { $ref?: string; name: string; in: string; schema?: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: object }> }>;
}

const file = new URL('../spec/rest-catalog-open-api.yaml', import.meta.url);
const spec = parse(readFileSync(file, 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, unknown>>;
};

// It is OpenAPI 3.1, whose schemas are JSON Schema 2020-12; formats of numbers are beyond JSON.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(spec, 'spec');

const validators = new Map<string, ValidateFunction>();
function validator(schema: object): ValidateFunction {
  const text = JSON.stringify(schema).replaceAll('"#/', '"spec#/');
  const known = validators.get(text) ?? ajv.compile(JSON.parse(text));
  validators.set(text, known);
  return known;
}

function resolved<T extends { $ref?: string }>(part: T): T {
  const [, , kind, name] = part.$ref?.split('/') ?? [];
  return kind ? (spec.components[kind]![name!] as T) : part;
}

const operations = Object.entries(spec.paths).flatMap(([path, methods]) => {
  const shared = ((methods as { parameters?: unknown }).parameters ?? []) as Operation['parameters'];
  // Catalogs without a prefix leave its segment out; one may have several segments.
  const pattern = path.replace('/{prefix}', '(?:/.+?)?').replace(/\/\{[^}]+\}/g, '/[^/]+');
  return Object.entries(methods).flatMap(([method, operation]) =>
    operation.responses
      ? [{ path, method, pattern: new RegExp(`${pattern}$`), operation, shared: shared ?? [] }]
      : [],
  );
});

/** A fetch that lets everything pass and notes in `violations` what is not as specified. */
export function checkedFetch(next: typeof fetch): { fetch: typeof fetch; violations: string[] } {
  const violations: string[] = [];
  const checked: typeof fetch = async (input, init) => {
    const { pathname, searchParams } = new URL(String(input));
    const method = (init?.method ?? 'GET').toLowerCase();
    const found = operations
      .filter((each) => each.method === method && each.pattern.test(pathname))
      .sort((a, b) => b.path.length - a.path.length)[0];
    const name = `${method.toUpperCase()} ${found?.path ?? pathname}`;
    const note = (what: string, problems: string[]): void => {
      violations.push(...problems.map((problem) => `${name}: ${what}: ${problem}`));
    };
    if (!found) {
      note('request', ['there is no such endpoint']);
      return next(input, init);
    }
    note('request', requestProblems(found, searchParams, new Headers(init?.headers), init?.body));
    const response = await next(input, init);
    note(
      `answer ${response.status}`,
      answerProblems(found.operation, response.status, await response.clone().text()),
    );
    return response;
  };
  return { fetch: checked, violations };
}

/** Headers of HTTP itself, and of signing. */
const commonHeaders = /^(accept|authorization|content-type|user-agent|x-amz-.*)$/;

function requestProblems(
  { operation, shared }: (typeof operations)[number],
  query: URLSearchParams,
  headers: Headers,
  body: unknown,
): string[] {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(resolved);
  const isKnown = (kind: string, name: string): boolean =>
    parameters.some((each) => each.in === kind && each.name.toLowerCase() === name.toLowerCase());
  const problems = [...query.keys()].filter((name) => !isKnown('query', name)).map((name) => `query ${name}`);
  for (const [name, value] of headers) {
    if (!commonHeaders.test(name) && !isKnown('header', name)) problems.push(`header ${name}`);
    if (
      name === 'idempotency-key' &&
      !/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(value)
    )
      problems.push(`idempotency key ${value} is not a UUID of version 7`);
  }
  if (!operation.requestBody) return body == null ? problems : [...problems, 'a body is not expected'];
  const type = headers.get('content-type') ?? 'none';
  const content = operation.requestBody.content[type];
  if (!content) return [...problems, `content type ${type}`];
  const value = type.includes('json')
    ? plain(String(body))
    : Object.fromEntries(new URLSearchParams(String(body)));
  return [...problems, ...schemaProblems(content.schema, value)];
}

function answerProblems(operation: Operation, status: number, text: string): string[] {
  const { responses } = operation;
  const found = responses[String(status)] ?? responses[`${Math.floor(status / 100)}XX`];
  if (!found) return ['the status is not specified'];
  const schema = resolved(found).content?.['application/json']?.schema;
  if (!schema) return [];
  try {
    return schemaProblems(schema, plain(text));
  } catch {
    return ['the body is not JSON'];
  }
}

function schemaProblems(schema: object, value: unknown): string[] {
  const validate = validator(schema);
  if (validate(value)) return [];
  return [...new Set(validate.errors!.map((error) => `${error.instancePath} ${error.message}`))];
}

/** JSON with numbers only: how exact they are is not the specification's matter. */
function plain(text: string): unknown {
  return JSON.parse(
    JSON.stringify(parseJson(text), (_key, value) => (typeof value === 'bigint' ? Number(value) : value)),
  );
}
