import { Command, CommanderError } from 'commander';
import { ConfigError, messageOf } from '../base/errors.ts';
import { version } from '../worker/version.ts';
import { doctorCommand } from './doctor.ts';
import { inspectCommand } from './inspect.ts';
import { peekCommand } from './peek.ts';
import { runCommand } from './run.ts';
import { validateCommand } from './validate.ts';
import { verifyCommand } from './verify.ts';

/** Exit codes: 0 done, 1 failed, 2 bad configuration or command line. */
const failed = 1;
const badConfiguration = 2;

const program = new Command('frazil')
  .description('Lands Kafka topics in Apache Iceberg tables, exactly once.')
  .version(version)
  .showHelpAfterError('(frazil --help shows what there is)')
  .exitOverride()
  .addCommand(runCommand())
  .addCommand(validateCommand())
  .addCommand(doctorCommand())
  .addCommand(inspectCommand())
  .addCommand(peekCommand())
  .addCommand(verifyCommand());
for (const command of program.commands)
  command.exitOverride().showHelpAfterError(`(frazil ${command.name()} --help shows how)`);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : badConfiguration;
  } else {
    console.error(`frazil: ${error instanceof ConfigError ? error.message : messageOf(error)}`);
    process.exitCode = error instanceof ConfigError ? badConfiguration : failed;
  }
}
// Whatever is still open (a connection, a thread) must not keep a finished command alive.
process.exit();
