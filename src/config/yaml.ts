import { isMap, isPair, isScalar, LineCounter, type ParsedNode, parseDocument, visit } from 'yaml';
import type { ConfigProblem } from '../base/errors.ts';

/** A YAML text as plain values, with the place of each. */
export interface YamlValues {
  values: unknown;
  /** False when the text is not YAML. */
  sound: boolean;
  problems: ConfigProblem[];
  /** Where the value (or, with `key`, the key) at a path stands; the nearest node above it when it is not there. */
  locate(path: readonly PropertyKey[], key?: boolean): { line: number; column: number } | undefined;
}

/** Parses YAML and puts environment variables in: `${NAME}`, `${NAME:default}`; `$${` is a plain `${`. */
export function parseYaml(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): YamlValues {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const position = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  // What follows a first error is mostly its consequence.
  const problems: ConfigProblem[] = document.errors.slice(0, 1).map((error) => ({
    path: '',
    ...position(error.pos[0]),
    message: `not YAML: ${withoutSource(error.message.split('\n')[0]!)}`,
  }));
  let sound = document.errors.length === 0;
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document)) return;
      sound = false;
      problems.push({
        path: '',
        ...position(node.range?.[0] ?? 0),
        message: 'not YAML: an alias of an anchor that is not there',
        fix: 'put quotes around a value that starts with *',
      });
    },
    Scalar(_key, node) {
      // 1.10 and 007 are names, and other ones than 1.1 and 7, to whoever expects a text.
      if (typeof node.value === 'number' && node.source !== undefined && node.source !== String(node.value))
        node.value = node.source;
      if (typeof node.value !== 'string' || !node.value.includes('${')) return;
      const missing = (name: string): void => {
        problems.push({
          path: '',
          ...position(node.range?.[0] ?? 0),
          message: `environment variable ${name} is not set`,
          fix: `set it, or give a default: \${${name}:value}`,
        });
      };
      node.value = substitute(node.value, environment, missing);
    },
  });
  const find = (path: readonly PropertyKey[], key: boolean): ParsedNode | undefined => {
    for (let length = path.length; length >= 0; length--) {
      const above = path.slice(0, length);
      if (key && length > 0) {
        const map = document.getIn(above.slice(0, -1), true);
        const pair =
          isMap(map) &&
          map.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === above.at(-1));
        if (pair) return pair.key as ParsedNode;
      }
      const node = length === 0 ? document.contents : document.getIn(above, true);
      if (node && typeof node === 'object' && 'range' in node) return node as ParsedNode;
    }
    return undefined;
  };
  return {
    values: sound ? document.toJS() : undefined,
    sound,
    problems,
    locate(path, key = false) {
      const node = find(path, key);
      return node?.range ? position(node.range[0]) : undefined;
    },
  };
}

/** The parser shows what it stumbled over, which may be a piece of a secret. */
function withoutSource(message: string): string {
  return message.replace(/(: "|characters: | sequence ).*$/, '');
}

function substitute(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  missing: (name: string) => void,
): string {
  return text.replace(
    /\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g,
    (found, name: string, fallback?: string) => {
      if (found.startsWith('$$')) return found.slice(1);
      const value = environment[name] ?? fallback;
      if (value === undefined) missing(name);
      return value ?? '';
    },
  );
}
