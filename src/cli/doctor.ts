import { totalmem } from 'node:os';
import { Command } from 'commander';
import { systemClock } from '../base/clock.ts';
import { writeJson } from '../base/json.ts';
import { systemRandom } from '../base/random.ts';
import { loadConfig } from '../config/config.ts';
import { askRegistry } from '../decode/registry.ts';
import { swapCheck, Tables } from '../doctor/catalog.ts';
import { type Check, type Finding, ok, once, runChecks, type Status } from '../doctor/check.ts';
import { kafkaChecks } from '../doctor/kafka.ts';
import { clockCheck, memoryCheck } from '../doctor/machine.ts';
import { placesOf, serversOf } from '../doctor/places.ts';
import { registryChecks } from '../doctor/registry.ts';
import { storeCheck } from '../doctor/store.ts';
import { openCatalog, openWire } from '../worker/open.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Check everything that a pipeline needs before it runs: brokers, topics, registry, store, catalog, clock, memory.',
    )
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--scratch-table', 'also make a table, commit to it and drop it again')
    .option('--json', 'print the findings as one JSON object')
    .addHelpText(
      'after',
      `
One line for each check: ok, warning, failed or skipped, what was found, and what to change. Each ends within 20 s
(the store within 2 min, --scratch-table within 1 min). Nothing of yours is changed: an object frazil-doctor-<uuid> is written to the store and
deleted, on S3 a second one of 65 MiB; with --scratch-table a table frazil_doctor_<uuid> beside the first one.

Examples:
  frazil doctor -c frazil.yaml
  frazil doctor -c frazil.yaml --scratch-table
  frazil doctor -c frazil.yaml --json | jq '.findings[] | select(.status == "failed")'

Exit code: 0 nothing failed, 1 something did, 2 bad configuration.`,
    )
    .action(async (options: { config: string; scratchTable?: true; json?: true }) => {
      const checks = checksOf(options.config, options.scratchTable === true);
      const width = Math.max(...checks.map(({ what }) => what.length));
      const tell = options.json ? () => {} : (finding: Finding) => console.log(render(finding, width));
      const findings = await runChecks(checks, systemClock, tell);
      const sound = findings.every(({ status }) => status !== 'failed');
      console.log(options.json ? writeJson({ sound, findings }, 2) : summary(findings));
      if (!sound) process.exitCode = 1;
    });
}

/** @throws {ConfigError} */
function checksOf(file: string, scratchTable: boolean): Check[] {
  const config = loadConfig(file);
  const ports = { clock: systemClock, random: systemRandom, fetch };
  const opened = once(() => openCatalog(config));
  const tables = new Tables(config, opened);
  return [
    { what: 'node', run: () => ok(process.version) },
    { what: 'configuration', run: () => ok(`${file}: pipeline ${config.pipeline}`) },
    // A person waits: what is refused is told at once.
    ...kafkaChecks(config, openWire({ ...config, source: { ...config.source, accessGrace: 0 } }), ports),
    ...registryChecks(config, (options, path) => askRegistry(options, path, ports)),
    ...tables.checks(),
    storeCheck(
      () => placesOf(config, tables),
      async () => (await opened()).store,
      systemRandom,
    ),
    swapCheck(scratchTable, config, opened, ports),
    clockCheck(serversOf(config), ports),
    memoryCheck(config.memory.held, process.constrainedMemory(), totalmem()),
  ];
}

/** `failed   topic orders   asking ...: UNKNOWN_TOPIC_OR_PARTITION (fix: make the topic, or correct source.topics)` */
export function render({ status, what, found, fix }: Finding, width: number): string {
  const text = found.replaceAll(/\s*\n\s*/g, '; ');
  return `${status.padEnd(7)}  ${what.padEnd(width)}  ${text}${fix === undefined ? '' : ` (fix: ${fix})`}`;
}

/** `1 failed, 2 warnings, 9 ok` */
export function summary(findings: readonly Finding[]): string {
  const count = (status: Status): number => findings.filter((finding) => finding.status === status).length;
  const warnings = count('warning');
  return [
    [count('failed'), 'failed'],
    [warnings, warnings === 1 ? 'warning' : 'warnings'],
    [count('skipped'), 'skipped'],
    [count('ok'), 'ok'],
  ]
    .filter(([n]) => n !== 0)
    .map((each) => each.join(' '))
    .join(', ');
}
