import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Run } from '../../test/tools/frazil.ts';
import type { Contestant, Job, Running } from './contestant.ts';
import { catalogName, namespace } from './warehouse.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** frazil as it is when it is installed: what is not set here has its default. A pipeline of its own: it begins anew. */
export function frazilConfig(
  { cell, servers, warehouse }: Pick<Job, 'cell' | 'servers' | 'warehouse'>,
  topics: readonly string[],
): object {
  return {
    pipeline: `bench-${randomUUID()}`,
    lanes: cell.threads === 1 ? 'auto' : cell.threads,
    source: { brokers: servers.brokers, topics },
    decode: {
      value:
        cell.format === 'avro'
          ? { format: 'avro', registry: { url: servers.registry } }
          : { format: 'json', epoch: 'ms' },
    },
    catalog: {
      type: 'sqlite',
      path: warehouse.database,
      name: catalogName,
      warehouse: warehouse.location.slice('file://'.length),
    },
    tables: topics.map((topic) => ({ table: `${namespace}.${topic}`, topics: [topic] })),
    commit: { interval: `${cell.commitMs}ms` },
  };
}

/**
 * One process for the warm-up and the topics: all are in its configuration, and while the topics are filled it is
 * stopped (SIGSTOP) for less than its session. So it is warm and connected, and has read nothing.
 */
export const frazil: Contestant = {
  name: 'frazil',
  version: `frazil ${version} on Node ${process.versions.node}`,
  can: () => true,
  install: () => Promise.resolve(),
  start(job) {
    const config = join(job.folder, 'frazil.yaml');
    writeFileSync(config, JSON.stringify(frazilConfig(job, [job.warmUp, ...job.topics]), null, 2));
    return Promise.resolve(running(new Run(['run', '-c', config])));
  },
};

function running(run: Run): Running {
  let code: number | undefined;
  void run.exit.then((ended) => {
    code = ended;
  });
  return {
    pids: [run.pid],
    async hold() {
      run.kill('SIGSTOP');
    },
    async begin() {
      run.kill('SIGCONT');
    },
    async check() {
      if (code !== undefined) throw new Error(`frazil exited with ${code}:\n${run.stderr.slice(-3000)}`);
    },
    async stop() {
      run.kill('SIGCONT');
      run.kill('SIGKILL');
      await run.exit;
    },
  };
}
