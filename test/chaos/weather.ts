import type { Fault, FaultRule, Service } from '../../localstack/lib/faults.ts';
import { seededRandom } from '../../src/base/random.ts';

/** What is done through a proxy: by which service, and which of its requests commit. */
export interface Route {
  readonly service: Service;
  readonly commits: Omit<FaultRule, 'fault'>;
}

export const routes = {
  glue: { service: 'glue', commits: { headers: { 'x-amz-target': 'UpdateTable|CreateTable' } } },
  rest: { service: 'rest', commits: { method: 'POST' } },
  s3: { service: 's3', commits: { method: 'PUT' } },
  registry: { service: 'rest', commits: { method: 'POST' } },
} as const satisfies Record<string, Route>;

/** Nothing that a person would have to mend. How often each of them occurs is drawn, and how late what is late comes. */
export function storm({ service, commits }: Route, seed: number): FaultRule[] {
  const random = seededRandom(seed);
  const ms = (): number => [50, 300, 2_000, 8_000][random.below(4)]!;
  const most = 0.02 + random.float() * 0.08;
  const faults: Fault[] = [
    { type: 'cut', when: 'before' },
    { type: 'cut', when: 'after' },
    { type: 'cut', when: 'within' },
    { type: 'answer', status: 500, passed: true },
    { type: 'answer', status: 502, passed: true },
    { type: 'answer', status: 503, passed: false },
    { type: 'throttle', as: service },
    { type: 'again', ms: ms() },
    { type: 'late', ms: ms() },
    { type: 'delay', ms: ms() },
  ];
  const some = faults.map((fault) => ({ probability: random.float() * most, fault }));
  return [
    { ...commits, times: 1, probability: 0.05, fault: { type: 'silence' } },
    ...some.map((rule) => ({ ...commits, ...rule })),
    ...some.map(({ probability, fault }) => ({ probability: probability / 3, fault })),
  ];
}

/** Nothing comes through. */
export function outage(seed: number): FaultRule[] {
  const faults: Fault[] = [
    { type: 'cut', when: 'before' },
    { type: 'answer', status: 503, passed: false },
    { type: 'answer', status: 500, passed: true },
    // All of it is done, and nobody is told.
    { type: 'cut', when: 'after' },
  ];
  return [{ fault: faults[seededRandom(seed).below(faults.length)]! }];
}
