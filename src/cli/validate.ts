import { Command } from 'commander';
import { ConfigError } from '../base/errors.ts';
import { loadConfig } from '../config/config.ts';

export function validateCommand(): Command {
  return new Command('validate')
    .description(
      'Check a configuration file: every problem at once, with line and column. Connects to nothing.',
    )
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--json', 'print the problems as JSON')
    .addHelpText(
      'after',
      `
Examples:
  frazil validate -c frazil.yaml
  frazil validate -c frazil.yaml --json | jq '.problems[].message'

Exit code: 0 sound, 2 not.`,
    )
    .action(({ config: file, json }: { config: string; json?: true }) => {
      try {
        loadConfig(file);
        console.log(json ? JSON.stringify({ valid: true, problems: [] }) : `${file}: sound`);
      } catch (error) {
        if (!json || !(error instanceof ConfigError)) throw error;
        console.log(JSON.stringify({ valid: false, problems: error.problems }));
        process.exitCode = 2;
      }
    });
}
