import type { TestProject } from 'vitest/node';
import { Localstack } from './tools/localstack.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    brokers: string;
    registry: string;
    /** The data folder of parts that not every run needs: the first test that does starts them (`Localstack.share`). */
    sharedParts: string;
  }
}

/** Starts Kafka and the registry once for all tests that need them, and ends them afterwards. */
export default async function start(project: TestProject): Promise<() => Promise<void>> {
  const parts = await Localstack.start(['kafka', 'registry']);
  // While unit tests run: most of a first run is downloads.
  const installation = project.name === 'parts' ? Localstack.install() : undefined;
  project.provide('brokers', parts.env['FRAZIL_BROKERS']!);
  project.provide('registry', parts.env['FRAZIL_REGISTRY']!);
  const shared = Localstack.folder();
  project.provide('sharedParts', shared);
  return async () => {
    await installation?.stop();
    await Localstack.stopShared(shared);
    await parts.stop();
  };
}
