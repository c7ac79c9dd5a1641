import type { Catalog } from '../../src/catalog/catalog.ts';
import { type GlueSettings, gluePointersOver } from '../../src/catalog/glue.ts';
import { MetastoreCatalog, type MetastorePorts } from '../../src/catalog/metastore.ts';
import { RestCatalog } from '../../src/catalog/rest.ts';
import type { RestSettings } from '../../src/catalog/rest-client.ts';
import type { Features } from './features.ts';
import { simGlue } from './glue-client.ts';
import type { Caller } from './process.ts';
import { restUri, simRest } from './rest-server.ts';
import { simPointers } from './sql-client.ts';
import type { Tables } from './tables.ts';

/** The catalog of a world as production would open it, with what reaches the server through a port. */
export function openCatalog(
  { catalog, doubled }: Pick<Features, 'catalog' | 'doubled'>,
  { catalog: server, objects }: Tables,
  caller: Caller,
  ports: MetastorePorts,
): Catalog {
  switch (catalog) {
    case 'location':
      return new MetastoreCatalog(simPointers(server, objects, caller, doubled), warehouse, ports);
    case 'version':
      return new MetastoreCatalog(
        gluePointersOver(glueSettings, simGlue(server, objects, caller, doubled)),
        warehouse,
        ports,
      );
    default: {
      const fetch = simRest(server, objects, caller, { doubled, newest: catalog === 'newest' });
      return new RestCatalog(restSettings, { ...ports, fetch });
    }
  }
}

const warehouse = 'mem://lake';
const glueSettings: GlueSettings = { createDatabase: true, skipNameValidation: false };
const restSettings: RestSettings = {
  uri: restUri,
  auth: { type: 'oauth2', credential: 'id:secret', scope: 'catalog' },
  vendedCredentials: false,
  headers: {},
};
