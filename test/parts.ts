import type { TestProject } from 'vitest/node';
import { Localstack } from './tools/localstack.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    brokers: string;
    registry: string;
  }
}

/** Starts Kafka and the registry once for all tests that need them, and ends them afterwards. */
export default async function start(project: TestProject): Promise<() => Promise<void>> {
  const parts = await Localstack.start(['kafka', 'registry']);
  project.provide('brokers', parts.env['FRAZIL_BROKERS']!);
  project.provide('registry', parts.env['FRAZIL_REGISTRY']!);
  return () => parts.stop();
}
