import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** The walls of src/README.md. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const src = join(root, 'src');

/** Each room may import those before it. */
const rooms = [
  'base',
  'iceberg',
  'kafka',
  'storage',
  'catalog',
  'arrow',
  'decode',
  'parquet',
  'config',
  'lane',
  'sink',
  'worker',
  'doctor',
  'verify',
  'cli',
];

interface Import {
  from: string;
  /** A file below src, or a package. */
  to: string;
  typesOnly: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap((file) => importsOf(file));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s([^;]*?)\s*from\s+'([^']+)'/gm);
  const calls = text.matchAll(/\b()import\('([^']+)'\)/g);
  return [...statements, ...calls].map(([, what, target]) => ({
    from: file,
    to: target!.startsWith('.') ? relative(src, join(src, dirname(file), target!)) : target!,
    typesOnly: what!.startsWith('type ') || isAllTypes(what!),
  }));
}

function isAllTypes(what: string): boolean {
  const names = /^\{([^}]*)\}$/.exec(what)?.[1];
  return names?.split(',').every((name) => name.trim() === '' || /^\s*type\s/.test(name)) ?? false;
}

const isOurs = (target: string): boolean => target.endsWith('.ts');
const room = (file: string): string => file.split('/')[0]!;
const shown = ({ from, to }: Import): string => `${from} imports ${to}`;

test('imports are seen', () => {
  expect(imports.filter(({ to }) => isOurs(to)).length).toBeGreaterThan(300);
  expect(imports.map(({ to }) => to)).toContain('apache-arrow');
  expect(imports.some(({ typesOnly }) => typesOnly)).toBe(true);
  for (const { to } of imports.filter(({ to }) => isOurs(to))) expect(files).toContain(to);
});

test('every file is in a room, and rooms import only those below them', () => {
  const strangers = files.filter((file) => file !== 'index.ts' && !rooms.includes(room(file)));
  expect(strangers).toEqual([]);
  const upwards = imports.filter(
    ({ from, to }) =>
      from !== 'index.ts' && isOurs(to) && rooms.indexOf(room(to)) > rooms.indexOf(room(from)),
  );
  expect(upwards.map(shown)).toEqual([]);
});

test('no file imports itself by a detour, not even for a type', () => {
  const next = new Map(
    files.map((file) => [file, imports.filter(({ from }) => from === file).map(({ to }) => to)]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const to of next.get(file) ?? []) {
      const cycle = isOurs(to) ? visit(to, [...path, file]) : undefined;
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) expect(visit(file, [])).toBeUndefined();
});

test('the exactly-once core runs on ports: what it reaches is ours and has no effects, but for the Avro library', () => {
  const reached = new Set(files.filter((file) => room(file) === 'sink'));
  const packages: string[] = [];
  for (const file of reached) {
    for (const found of imports.filter(({ from, typesOnly }) => from === file && !typesOnly)) {
      if (isOurs(found.to)) reached.add(found.to);
      else if (!found.to.startsWith('node:')) packages.push(shown(found));
    }
  }
  expect(packages).toEqual(['iceberg/avro-file.ts imports avsc']);
  const adapters = [
    'kafka/kafka-source.ts',
    'kafka/wire.ts',
    'catalog/sqlite.ts',
    'catalog/postgres.ts',
    'storage/local.ts',
    'storage/s3.ts',
    'lane/thread-lane.ts',
  ];
  for (const adapter of adapters) {
    expect(files).toContain(adapter);
    expect([...reached]).not.toContain(adapter);
  }
});

test('time, timers and randomness come in through ports', () => {
  const effects =
    /\b(Date\.now|new Date\(\)|Math\.random|randomUUID|setTimeout|setInterval|setImmediate|performance\.now)\b/;
  const homes = ['base', 'worker', 'cli'];
  // The name of a draft must differ between processes; nothing else depends on it.
  const adapters = ['storage/local.ts'];
  const found = files.filter(
    (file) =>
      !homes.includes(room(file)) &&
      !adapters.includes(file) &&
      effects.test(readFileSync(join(src, file), 'utf8')),
  );
  expect(found).toEqual([]);
});

test('each dependency is used, pinned to a version, and has its reason in docs/dependencies.md', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const reasons = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
  const used = new Set(imports.map(({ to }) => to).filter((to) => !isOurs(to) && !to.startsWith('node:')));
  expect([...used].sort()).toEqual(Object.keys(manifest.dependencies).sort());
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    expect(reasons).toContain(`| \`${name}\` | ${version} |`);
  }
});

test('src/README.md tells of every room and every file', () => {
  const map = readFileSync(join(src, 'README.md'), 'utf8');
  for (const name of rooms) expect(map).toContain(`${name}/`);
  const unknown = [...map.matchAll(/`([a-z]+\/[a-z-]+\.ts)`/g)].map(([, file]) => file!);
  expect(unknown.length).toBeGreaterThan(10);
  for (const file of unknown) expect(files).toContain(file);
});
