import type { Column } from '../arrow/columns.ts';

/**
 * How entries are read: `generated` compiles a function per schema and table where the process may compile text, `closures`
 * never does (as under `--disallow-code-generation-from-strings`).
 */
export type Form = 'generated' | 'closures';

const canGenerate = ((): boolean => {
  try {
    return new Function('return true')() === true;
  } catch {
    return false;
  }
})();

/** Whether readers of a form are to be generated. */
export function isGenerated(form: Form): boolean {
  return form === 'generated' && canGenerate;
}

/** Beyond any record: where a value is said to end that generated text does not read. */
export const unusual = 0x7fffffff;

/** How many bytes must be behind an entry, for words are read that begin in it. */
const readAhead = 16;

/** Characters of a function, or about that: engines optimize long ones late, and very long ones never. */
const mostCharacters = 4000;

/**
 * The text of a reader that is being generated. Nothing in it comes from outside: columns and constants are named by
 * numbers, and what a schema calls them is not written at all.
 *
 * The functions in it take `(bytes, view, p, end, row)`, read what is at `p`, write it into the arrays of columns at `row`
 * and return where they stopped, beyond `end` if it is not usual.
 */
export class ReaderText {
  readonly #names = new Map<unknown, string>();
  readonly #functions: string[] = [];
  readonly #variables: string[] = [];

  /** The name of a column. */
  column(column: Column): string {
    return this.#name('c', column);
  }

  /** The name of what else the text refers to. */
  constant(value: object): string {
    return this.#name('k', value);
  }

  /** A variable that all functions of the text see; its name. */
  variable(): string {
    const name = `v${this.#variables.length}`;
    this.#variables.push(name);
    return name;
  }

  #name(letter: string, value: object): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      name = `${letter}${this.#names.size}`;
      this.#names.set(value, name);
    }
    return name;
  }

  /** The statements as they are, or calls of functions that have them when they are many. */
  block(statements: readonly string[], row: string): string[] {
    const runs: string[][] = [[]];
    let characters = 0;
    for (const statement of statements) {
      if (characters > 0 && characters + statement.length > mostCharacters) {
        runs.push([]);
        characters = 0;
      }
      runs.at(-1)!.push(statement);
      characters += statement.length;
    }
    if (runs.length === 1) return [...statements];
    const calls = runs.map((run) => `p = ${this.define(run, row)}(bytes, view, p, end, ${row});`);
    return this.block(calls, row);
  }

  /** A function of these statements; its name. */
  define(statements: readonly string[], row: string): string {
    const name = `part${this.#functions.length}`;
    const body = [...statements, 'return p;'].map(indented).join('\n');
    this.#functions.push(`function ${name}(bytes, view, p, end, ${row}) {\n  let b = 0, at = 0;\n${body}\n}`);
    return name;
  }

  /** The whole text, the body of a function of {@link ReaderText.scope}; `start` is where an entry's first value is. */
  text(statements: readonly string[], start: string): string {
    const record = this.define(this.block(statements, 'row'), 'row');
    const variables = this.#variables.map((name) => `let ${name} = 0;\n`).join('');
    return `'use strict';
${variables}${this.#functions.join('\n')}
return (bytes, view, starts, lengths, from, to, row) => {
  const last = bytes.length - readAhead;
  for (let i = from; i < to; i++, row++) {
    const end = starts[i] + lengths[i];
    if (end > last || ${record}(bytes, view, ${start}, end, row) !== end) return i;
  }
  return to;
};
`;
  }

  /** Compiles a text. `functions` are those that it calls. */
  compile(text: string, functions: Readonly<Record<string, unknown>>): CompiledReader {
    const scope = new Map<string, unknown>([
      ...Object.entries({ ...functions, unusual, readAhead }),
      ...[...this.#names].map(([value, name]): [string, unknown] => [name, value]),
    ]);
    return new Function(...scope.keys(), text)(...scope.values()) as CompiledReader;
  }
}

export type CompiledReader = (
  bytes: Buffer,
  view: DataView,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
  row: number,
) => number;

/** Each line of a text further to the right. */
export function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

/** Counts the value at `row` as present. */
export function present(column: Column, name: string, row: string): string[] {
  return column.validity ? [`${name}.validity[${row} >> 3] |= 1 << (${row} & 7);`] : [];
}

/** Writes what a null leaves in the arrays, at `row`. `appended` are the columns that count what they are given. */
export function absent(
  text: ReaderText,
  column: Column,
  row: string,
  appended: ReadonlySet<Column>,
): string[] {
  const name = text.column(column);
  if (appended.has(column)) return [`${name}.appendNull();`];
  switch (column.kind) {
    case 'boolean':
      return [];
    case 'int32':
    case 'float32':
    case 'float64':
      return [`${name}.values[${row}] = 0;`];
    case 'int64':
      return [`${name}.halves[${row} * 2] = 0;`, `${name}.halves[${row} * 2 + 1] = 0;`];
    case 'decimal':
      return [`${name}.words.fill(0, ${row} * 4, ${row} * 4 + 4);`];
    case 'fixed':
      return [`${name}.values.fill(0, ${row} * ${column.width}, (${row} + 1) * ${column.width});`];
    case 'bytes':
    case 'list':
    case 'map':
      return [`${name}.offsets[${row} + 1] = ${name}.offsets[${row}];`];
    case 'struct':
      return column.children.flatMap((child) => absent(text, child, row, appended));
  }
}
