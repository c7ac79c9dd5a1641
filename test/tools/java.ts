import { Repl } from './repl.ts';

/** Kafka's and Iceberg's own clients. */
export const java: Repl = new Repl('java');
