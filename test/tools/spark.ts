import { Repl } from './repl.ts';

/** Spark with Iceberg's runtime. */
export const spark: Repl = new Repl('spark');
