import {
  CreateTableCommand,
  GetDatabaseCommand,
  GetTableCommand,
  type TableInput,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import { messageOf, TransientError } from '../../src/base/errors.ts';
import type { GlueCalls } from '../../src/catalog/glue.ts';
import { branchHead } from '../../src/iceberg/metadata.ts';
import type { CatalogServer, CommitRequest } from './catalog-server.ts';
import { readMetadata } from './check.ts';
import type { Caller } from './process.ts';
import type { SimObjects } from './storage.ts';

/** Glue as one caller calls it, through the SDK: an entry is replaced only at the version that is
 * named, or, without one, whatever has come since. */
export function simGlue(
  server: CatalogServer,
  objects: SimObjects,
  caller: Caller,
  doubled: boolean,
): GlueCalls {
  const nameOf = ({ DatabaseName, Name }: { DatabaseName?: string; Name?: string }): string =>
    `${DatabaseName}.${Name}`;

  const getTable = (table: string): Promise<object> =>
    caller.call('get table', () => {
      const entry = server.tables.get(table);
      if (!entry) throw sdkError('EntityNotFoundException', 400);
      const { location, version, input } = entry;
      const parameters = { ...input.Parameters, table_type: 'ICEBERG', metadata_location: location };
      const Name = table.split('.')[1];
      return { Table: { ...input, Name, VersionId: String(version), Parameters: parameters } };
    });

  async function updateTable(table: string, version: string | undefined, input: TableInput): Promise<object> {
    const location = locationIn(input);
    const snapshot = branchHead(readMetadata(objects, location), 'main')!;
    const request: CommitRequest = { worker: caller.name, table, location, snapshot };
    server.onRequest(request);
    let applied = false;
    try {
      await caller.call('swap', (moment) => {
        const entry = server.tables.get(table);
        if (!entry) throw sdkError('EntityNotFoundException', 400);
        applied =
          (version === undefined || String(entry.version) === version) &&
          server.swap(table, entry.location, location, caller.name, input);
        if (!applied || (doubled && moment.happens('doubled', 0.2)))
          throw sdkError('ConcurrentModificationException', 400);
      });
    } catch (error) {
      const isCertain = !(error instanceof TransientError) || /(refused|expired)$/.test(messageOf(error));
      server.onAnswer(request, isCertain ? (applied ? 'applied' : 'rejected') : 'unknown');
      throw error;
    }
    server.onAnswer(request, 'applied');
    return {};
  }

  return {
    async send(command: unknown): Promise<never> {
      try {
        if (command instanceof GetTableCommand)
          return (await getTable(nameOf(command.input as { DatabaseName: string; Name: string }))) as never;
        if (command instanceof UpdateTableCommand) {
          const { DatabaseName, TableInput, VersionId } = command.input;
          const table = `${DatabaseName}.${TableInput!.Name}`;
          return (await updateTable(table, VersionId, TableInput!)) as never;
        }
        if (command instanceof CreateTableCommand) {
          const { DatabaseName, TableInput } = command.input;
          const table = `${DatabaseName}.${TableInput!.Name}`;
          return (await caller.call('create table', () => {
            if (!server.insert(table, locationIn(TableInput!), caller.name, TableInput!))
              throw sdkError('AlreadyExistsException', 400);
            return {};
          })) as never;
        }
        if (command instanceof GetDatabaseCommand)
          return (await caller.call('get database', () => ({
            Database: { Name: command.input.Name },
          }))) as never;
      } catch (error) {
        throw error instanceof TransientError ? asSdkError(error) : error;
      }
      throw new Error('the simulated Glue does not know this command');
    },
    destroy() {},
  };
}

function locationIn(input: TableInput): string {
  return input.Parameters!['metadata_location']!;
}

/** What the SDK throws for a call that failed on its way. */
function asSdkError(error: TransientError): Error {
  const message = messageOf(error);
  if (message.endsWith('expired')) return sdkError('ExpiredTokenException', 400);
  if (message.endsWith('refused')) return sdkError('ThrottlingException', 400);
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

function sdkError(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error(name), { name, $metadata: { httpStatusCode, attempts: 1 } });
}
