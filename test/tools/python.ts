import { Repl } from './repl.ts';

/** PyIceberg, DuckDB, fastavro and pyarrow. */
export const python: Repl = new Repl('python');
