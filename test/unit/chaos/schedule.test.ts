import { expect, test } from 'vitest';
import { drawSchedule, type Kind, type Targets } from '../../chaos/schedule.ts';

const targets: Targets = {
  kill: ['a', 'b'],
  freeze: ['a', 'b'],
  storm: ['s3'],
  outage: ['s3'],
  partition: ['orders'],
  diskFull: [],
};
const tenMinutes = 600_000;

test('one seed has one schedule, another seed another', () => {
  const first = drawSchedule(7, tenMinutes, targets);
  expect(drawSchedule(7, tenMinutes, targets)).toEqual(first);
  expect(drawSchedule(8, tenMinutes, targets).events).not.toEqual(first.events);
});

test('events come in order, before the end, and befall what there is', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { events } = drawSchedule(seed, tenMinutes, targets);
    const times = events.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeLessThan(tenMinutes);
    for (const { kind, target } of events) expect(targets[kind]).toContain(target);
  }
});

test('kinds occur in some runs and not in others, but for workers that are killed', () => {
  const kindsOf = (seed: number): Set<Kind> =>
    new Set(drawSchedule(seed, tenMinutes, targets).events.map(({ kind }) => kind));
  const runs = Array.from({ length: 40 }, (_, seed) => kindsOf(seed));
  const share = (kind: Kind): number => runs.filter((kinds) => kinds.has(kind)).length;
  expect(share('kill')).toBe(40);
  expect(share('diskFull')).toBe(0);
  for (const kind of ['freeze', 'storm', 'outage', 'partition'] as const) {
    expect(share(kind)).toBeGreaterThan(15);
    expect(share(kind)).toBeLessThan(40);
  }
});
