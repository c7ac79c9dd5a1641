import type { Field, Type } from '../../src/iceberg/types.ts';

/** Random Avro schemas with values for them, and every way in which a table may take them. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Random {
  below(n: number): number;
  float(): number;
}

/** A column that can take a writer's type, and what it then holds. */
export interface Target {
  type: Type;
  /** The reader's schema that makes `avsc` resolve the same. */
  reader: Json;
  /** What the column holds for what `avsc` decodes with that schema. @throws {Unfit} when it must be refused. */
  show: (decoded: unknown) => unknown;
}

export interface Made {
  schema: Json;
  /** A value as `avsc` takes it, for a column of this type if for any; longs are bigints. */
  value: (column: Type | undefined) => unknown;
  /** The first is the one that a table made for the schema has. */
  targets: () => Target[];
}

/** A value that the column cannot hold: the record must be refused. */
export class Unfit extends Error {}

const same = (decoded: unknown): unknown => decoded;
const hex = (decoded: unknown): string => (decoded as Buffer).toString('hex');
const toMicros = (factor: bigint) => (decoded: unknown) => {
  const micros = BigInt(decoded as bigint | number) * factor;
  if (BigInt.asIntN(64, micros) !== micros) throw new Unfit();
  return micros;
};

export class Schemas {
  /** Whether there are fields of types that no column can take. */
  readonly isOdd: boolean;
  readonly #random: Random;
  #names = 0;

  constructor(random: Random) {
    this.#random = random;
    this.isOdd = random.below(2) === 0;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!;
  }

  #chance(part: number): boolean {
    return this.#random.float() < part;
  }

  #name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  // ---- values ----

  #int(): number {
    if (this.#chance(0.2)) return this.#pick([0, -1, 1, 63, 64, -64, -65, 2 ** 31 - 1, -(2 ** 31)]);
    return Math.trunc((this.#random.float() - 0.5) * 2 ** (1 + this.#random.below(32)));
  }

  #long(): bigint {
    if (this.#chance(0.2))
      return this.#pick([
        0n,
        -1n,
        2n ** 53n + 1n,
        2n ** 63n - 1n,
        -(2n ** 63n),
        -(2n ** 63n) + 1n,
        2n ** 32n,
        -(2n ** 31n),
      ]);
    let value = 0n;
    for (let i = 0; i < 4; i++) value = (value << 16n) | BigInt(this.#random.below(65536));
    return BigInt.asIntN(64, value) >> BigInt(this.#random.below(64));
  }

  #double(): number {
    if (this.#chance(0.3))
      return this.#pick([
        0,
        -0,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        Number.MIN_VALUE,
        1e308,
      ]);
    return (this.#random.float() - 0.5) * 10 ** (this.#random.below(40) - 20);
  }

  #text(): string {
    const length = this.#chance(0.1) ? 40 + this.#random.below(60) : this.#random.below(12);
    const points = ['a', 'z', '0', ' ', '"', '\0', 'ü', 'ß', '€', '日', '🛶'];
    return Array.from({ length }, () => this.#pick(points)).join('');
  }

  #bytes(length = this.#random.below(20)): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random.below(256)));
  }

  // ---- types ----

  /** A type that a column can be made for. */
  make(depth: number): Made {
    const plain = [
      () => this.#boolean(),
      () => this.#intType(),
      () => this.#longType(),
      () => this.#floatType(),
      () => this.#doubleType(),
      () => this.#stringType(),
      () => this.#bytesType(),
      () => this.#enum(),
      () => this.#fixed(),
      () => this.#decimal(),
      () => this.#decimal(),
    ];
    const nested = [() => this.#array(depth - 1), () => this.#map(depth - 1), () => this.record(depth - 1)];
    return this.#pick(depth > 0 && this.#chance(0.4) ? nested : plain)();
  }

  #boolean(): Made {
    return leaf('boolean', () => this.#chance(0.5), [
      { type: { kind: 'boolean' }, reader: 'boolean', show: same },
    ]);
  }

  #intType(): Made {
    const numbers: Target[] = [
      { type: { kind: 'int' }, reader: 'int', show: same },
      { type: { kind: 'long' }, reader: 'long', show: same },
      { type: { kind: 'float' }, reader: 'float', show: (n) => Math.fround(n as number) },
      { type: { kind: 'double' }, reader: 'double', show: same },
    ];
    switch (this.#random.below(4)) {
      case 0:
        return leaf({ type: 'int', logicalType: 'date' }, () => this.#int(), [
          { type: { kind: 'date' }, reader: 'int', show: same },
          ...numbers,
        ]);
      case 1:
        return leaf({ type: 'int', logicalType: 'time-millis' }, () => this.#int(), [
          { type: { kind: 'time' }, reader: 'int', show: toMicros(1000n) },
          ...numbers,
        ]);
      case 2: // a logical type that nobody knows is none
        return leaf({ type: 'int', logicalType: 'furlongs' }, () => this.#int(), numbers);
      default:
        return leaf('int', () => this.#int(), numbers);
    }
  }

  #longType(): Made {
    const numbers: Target[] = [
      { type: { kind: 'long' }, reader: 'long', show: same },
      // The reader's own promotion of a long is to a number of 53 bits.
      { type: { kind: 'float' }, reader: 'long', show: (n) => Math.fround(Number(n)) },
      { type: { kind: 'double' }, reader: 'long', show: (n) => Number(n) },
    ];
    const logical = this.#pick([
      undefined,
      'time-micros',
      'timestamp-millis',
      'timestamp-micros',
      'local-timestamp-millis',
      'local-timestamp-micros',
    ]);
    if (logical === undefined) return leaf('long', () => this.#long(), numbers);
    const show = toMicros(logical.endsWith('millis') ? 1000n : 1n);
    const kinds: ('time' | 'timestamp' | 'timestamptz')[] =
      logical === 'time-micros'
        ? ['time']
        : logical.startsWith('local')
          ? ['timestamp', 'timestamptz']
          : ['timestamptz', 'timestamp'];
    const moments = kinds.map((kind): Target => ({ type: { kind }, reader: 'long', show }));
    // Mostly moments that can be told in microseconds.
    const value = (): bigint => (this.#chance(0.98) ? this.#long() >> 12n : this.#long());
    return leaf({ type: 'long', logicalType: logical }, value, [...moments, ...numbers]);
  }

  #floatType(): Made {
    return leaf('float', () => Math.fround(this.#double()), [
      { type: { kind: 'float' }, reader: 'float', show: same },
      { type: { kind: 'double' }, reader: 'double', show: same },
    ]);
  }

  #doubleType(): Made {
    return leaf('double', () => this.#double(), [{ type: { kind: 'double' }, reader: 'double', show: same }]);
  }

  #stringType(): Made {
    const text: Target = { type: { kind: 'string' }, reader: 'string', show: same };
    const binary: Target = { type: { kind: 'binary' }, reader: 'bytes', show: hex };
    if (this.#chance(0.75)) return leaf('string', () => this.#text(), [text, binary]);
    const uuid = (): string => {
      const digits = this.#bytes(16).toString('hex');
      const written = [8, 12, 16, 20].reduceRight((id, at) => `${id.slice(0, at)}-${id.slice(at)}`, digits);
      return this.#chance(0.5) ? written : written.toUpperCase();
    };
    const show = (id: unknown): string => (id as string).replaceAll('-', '').toLowerCase();
    return leaf({ type: 'string', logicalType: 'uuid' }, uuid, [
      { type: { kind: 'uuid' }, reader: 'string', show },
      text,
      binary,
    ]);
  }

  #bytesType(): Made {
    return {
      schema: 'bytes',
      value: (column) => (column?.kind === 'string' ? Buffer.from(this.#text()) : this.#bytes()),
      targets: () => [
        { type: { kind: 'binary' }, reader: 'bytes', show: hex },
        { type: { kind: 'string' }, reader: 'string', show: same },
      ],
    };
  }

  #enum(): Made {
    const name = this.#name('Enum');
    const symbols = Array.from({ length: 1 + this.#random.below(5) }, () => this.#name('S'));
    return leaf({ type: 'enum', name, symbols }, () => this.#pick(symbols), [
      // A column has no symbols: Avro's own resolution ends here.
      {
        type: { kind: 'string' },
        reader: { type: 'enum', name: this.#name('E'), aliases: aliases(name), symbols },
        show: same,
      },
    ]);
  }

  #fixed(): Made {
    const name = this.#name('Fixed');
    const isUuid = this.#chance(0.3);
    const size = isUuid || this.#chance(0.1) ? 16 : 1 + this.#random.below(20);
    const reader = { type: 'fixed', name: this.#name('F'), aliases: aliases(name), size };
    const ways: Target[] = [
      { type: { kind: 'fixed', length: size }, reader, show: hex },
      { type: { kind: 'binary' }, reader, show: hex },
    ];
    const uuid: Target = { type: { kind: 'uuid' }, reader, show: hex };
    if (isUuid) ways.unshift(uuid);
    else if (size === 16) ways.push(uuid);
    const schema: Json = { type: 'fixed', name, size, ...(isUuid && { logicalType: 'uuid' }) };
    return leaf(schema, () => this.#bytes(size), ways);
  }

  #decimal(): Made {
    const precision = 1 + this.#random.below(38);
    const scale = this.#random.below(precision + 1);
    const isFixed = this.#chance(0.4);
    const least = byteLength(10n ** BigInt(precision) - 1n);
    const size = least + this.#random.below(4);
    const name = this.#name('Decimal');
    const logical = {
      logicalType: 'decimal',
      precision,
      ...(scale === 0 && this.#chance(0.5) ? {} : { scale }),
    };
    const schema: Json = isFixed ? { type: 'fixed', name, size, ...logical } : { type: 'bytes', ...logical };
    const reader: Json = isFixed
      ? { type: 'fixed', name: this.#name('D'), aliases: aliases(name), size }
      : 'bytes';
    const way = (p: number, s: number): Target => ({
      type: { kind: 'decimal', precision: p, scale: s },
      reader,
      show: (bytes) => {
        const value = signed(bytes as Buffer) * 10n ** BigInt(s - scale);
        if (value >= 10n ** BigInt(p) || value <= -(10n ** BigInt(p))) throw new Unfit();
        return value;
      },
    });
    const moreScale = scale + this.#random.below(38 - precision + 1);
    const wider = Math.min(38, precision + moreScale - scale + this.#random.below(5));
    const value = (): Buffer => {
      // Now and then more digits than the schema says, which no writer is kept from.
      const digits = this.#chance(0.97) ? 1 + this.#random.below(precision) : precision + 1;
      let unscaled = 0n;
      for (let i = 0; i < digits; i++)
        unscaled = unscaled * 10n + BigInt(this.#chance(0.2) ? 9 : this.#random.below(10));
      if (this.#chance(0.5)) unscaled = -unscaled;
      const room = isFixed ? size : byteLength(unscaled) + (this.#chance(0.1) ? 3 : 0);
      return twosComplement(isFixed && byteLength(unscaled) > size ? 1n : unscaled, room);
    };
    return leaf(schema, value, [way(precision, scale), way(wider, moreScale), way(38, moreScale)]);
  }

  /** Null and one other type, in either order; or a type that is always there. */
  member(depth: number): { made: Made; nullable: boolean } {
    const made = this.make(depth);
    if (!this.#chance(0.4)) return { made: this.#chance(0.05) ? single(made) : made, nullable: false };
    const isNullFirst = this.#chance(0.6);
    const schema: Json = isNullFirst ? ['null', made.schema] : [made.schema, 'null'];
    return {
      nullable: true,
      made: {
        schema,
        value: (column) => (this.#chance(0.3) ? null : made.value(column)),
        targets: () =>
          made.targets().map((target) => ({
            type: target.type,
            reader: isNullFirst ? ['null', target.reader] : [target.reader, 'null'],
            show: (decoded) => (decoded === null ? null : target.show(decoded)),
          })),
      },
    };
  }

  #array(depth: number): Made {
    const { made, nullable } = this.member(depth);
    return {
      schema: { type: 'array', items: made.schema },
      value: (column) => {
        const item = column?.kind === 'list' ? column.element : undefined;
        return Array.from({ length: this.#random.below(5) }, () => made.value(item));
      },
      targets: () =>
        made.targets().map((item) => ({
          type: { kind: 'list', elementId: 0, elementRequired: !nullable, element: item.type },
          reader: { type: 'array', items: item.reader },
          show: (decoded) => (decoded as unknown[]).map(item.show),
        })),
    };
  }

  #map(depth: number): Made {
    const { made, nullable } = this.member(depth);
    return {
      schema: { type: 'map', values: made.schema },
      value: (column) => {
        const item = column?.kind === 'map' ? column.value : undefined;
        const keys = Array.from({ length: this.#random.below(4) }, () => `k${this.#text()}`);
        return Object.fromEntries(keys.map((key) => [key, made.value(item)]));
      },
      targets: () =>
        made.targets().map((item) => ({
          type: {
            kind: 'map',
            keyId: 0,
            key: { kind: 'string' },
            valueId: 0,
            valueRequired: !nullable,
            value: item.type,
          },
          reader: { type: 'map', values: item.reader },
          show: (decoded) => Object.entries(decoded as object).map(([key, value]) => [key, item.show(value)]),
        })),
    };
  }

  /** A record; some of its fields are of types that no column can take, or that contain themselves. */
  record(depth: number): Made {
    const name = this.#name('Record');
    const namespace = this.#chance(0.3) ? 'a.b' : undefined;
    const members = Array.from({ length: 1 + this.#random.below(6) }, () => ({
      name: this.#name('f'),
      ...this.member(depth),
      isOdd: false,
    }));
    if (this.isOdd && this.#chance(0.7))
      members.push({ name: this.#name('odd'), made: this.#odd(), nullable: false, isOdd: true });
    this.#shuffle(members);
    const targets = (): Target[] => {
      const all = members.map((member) => ({ ...member, ways: member.made.targets() }));
      const asIs = all.filter(({ isOdd }) => !isOdd);
      return [
        this.#struct(
          name,
          asIs.map((member) => ({ ...member, way: member.ways[0]!, required: !member.nullable })),
        ),
        ...Array.from({ length: 2 }, () => this.#evolved(name, all)),
      ];
    };
    return {
      schema: {
        type: 'record',
        name,
        ...(namespace !== undefined && { namespace }),
        fields: members.map((member) => ({ name: member.name, type: member.made.schema })),
      },
      value: (column) => {
        const taken = new Map(
          column?.kind === 'struct' ? column.fields.map(({ name, type }) => [name, type]) : [],
        );
        return Object.fromEntries(members.map(({ name, made }) => [name, made.value(taken.get(name))]));
      },
      targets,
    };
  }

  /** The struct as a later table might have it: in another order, with fewer and with other columns. */
  #evolved(
    name: string,
    all: readonly { name: string; nullable: boolean; isOdd: boolean; ways: Target[] }[],
  ): Target {
    const kept = all
      .filter(({ isOdd }) => !isOdd && this.#chance(0.8))
      .map((member) => ({
        ...member,
        way: this.#pick(member.ways),
        // A required column for an optional field is possible, and every null then an error.
        required: member.nullable ? this.#chance(0.02) : this.#chance(0.5),
      }));
    for (let i = this.#random.below(3); i > 0; i--)
      kept.push({
        name: this.#name('added'),
        nullable: true,
        isOdd: false,
        ways: [],
        way: { ...this.#pick(this.make(1).targets()), show: () => null },
        required: false,
      });
    this.#shuffle(kept);
    return this.#struct(name, kept);
  }

  #struct(
    name: string,
    members: readonly { name: string; nullable: boolean; way: Target; required: boolean; ways?: Target[] }[],
  ): Target {
    const fields = members.map(
      (member): Field => ({ id: 0, name: member.name, required: member.required, type: member.way.type }),
    );
    return {
      type: { kind: 'struct', fields },
      reader: {
        type: 'record',
        name: this.#name('R'),
        aliases: aliases(name),
        fields: members.map((member) => {
          const isAdded = member.ways?.length === 0;
          if (isAdded) return { name: member.name, type: ['null', member.way.reader], default: null };
          const isUnion = Array.isArray(member.way.reader);
          return {
            name: member.name,
            type: member.required || isUnion ? member.way.reader : ['null', member.way.reader],
          };
        }),
      },
      show: (decoded) =>
        members.map((member) => {
          const value = (decoded as Record<string, unknown>)[member.name];
          if (value !== null) return member.way.show(value);
          if (member.required) throw new Unfit();
          return null;
        }),
    };
  }

  /** What can only be read over. */
  #odd(): Made {
    const skipped = (schema: Json, value: () => unknown): Made => ({ schema, value, targets: () => [] });
    switch (this.#random.below(4)) {
      case 0:
        return skipped('null', () => null);
      case 1: {
        const branches = [
          () => null,
          () => this.#int(),
          () => this.#text(),
          () => this.#bytes(),
          () => [this.#double()],
        ];
        const schema: Json = ['null', 'int', 'string', 'bytes', { type: 'array', items: 'double' }];
        return skipped(schema, () => this.#pick(branches)());
      }
      case 2: {
        const empty = { type: 'record', name: this.#name('Empty'), fields: [] };
        return skipped({ type: 'array', items: empty }, () =>
          Array.from({ length: this.#random.below(100) }, () => ({})),
        );
      }
      default: {
        const name = this.#name('Tree');
        const node = (depth: number): unknown => ({
          label: this.#text(),
          next: depth > 0 && this.#chance(0.7) ? node(depth - 1) : null,
          children: Array.from({ length: depth > 0 ? this.#random.below(3) : 0 }, () => node(depth - 1)),
          named: depth > 0 && this.#chance(0.5) ? { one: node(depth - 1) } : {},
        });
        const fields = [
          { name: 'label', type: 'string' },
          { name: 'next', type: ['null', name] },
          { name: 'children', type: { type: 'array', items: name } },
          { name: 'named', type: { type: 'map', values: name } },
        ];
        return skipped({ type: 'record', name, fields }, () => node(4));
      }
    }
  }

  #shuffle<T>(list: T[]): void {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
  }
}

function leaf(schema: Json, value: () => unknown, targets: Target[]): Made {
  return { schema, value, targets: () => targets };
}

/** What a type may be called, whatever namespace it is in. */
function aliases(name: string): string[] {
  return [name, `a.b.${name}`];
}

/** A union of one branch. */
function single(made: Made): Made {
  return {
    ...made,
    schema: [made.schema],
    targets: () => made.targets().map((target) => ({ ...target, reader: [target.reader] })),
  };
}

/** Bytes that hold `value` in two's complement. */
function byteLength(value: bigint): number {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  return length;
}

function twosComplement(value: bigint, length: number): Buffer {
  const digits = BigInt.asUintN(length * 8, value)
    .toString(16)
    .padStart(length * 2, '0');
  return Buffer.from(digits, 'hex');
}

function signed(bytes: Buffer): bigint {
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  return bytes.length > 0 && bytes[0]! > 127 ? value - 256n ** BigInt(bytes.length) : value;
}
