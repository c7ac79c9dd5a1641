/**
 * A server that stands before another one and lets chosen requests go wrong (README.md, "When things go wrong"):
 *
 *   node localstack/proxy.ts --target http://127.0.0.1:4566 [--listen 0] [--rules rules.json] [--seed 7]
 *   node localstack/proxy.ts --target tcp://127.0.0.1:5432 ...
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import { readRules } from './lib/faults.ts';
import { HttpProxy } from './lib/http-proxy.ts';
import { TcpProxy } from './lib/tcp-proxy.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    listen: { type: 'string', default: '0' },
    rules: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
if (!values.target || !/^(http|tcp):\/\/[^/]+:\d+\/?$/.test(values.target))
  fail('--target takes http://host:port or tcp://host:port');
const options = {
  target: values.target,
  rules: values.rules ? await readRules(values.rules).catch((error) => fail(messageOf(error))) : [],
  seed: Number(values.seed),
  port: Number(values.listen),
  onFault: (what: string) => console.log(what),
};
const isHttp = values.target.startsWith('http:');
const proxy = isHttp ? await HttpProxy.start(options) : await TcpProxy.start(options);
console.log(proxy instanceof HttpProxy ? proxy.url : `tcp://${proxy.host}:${proxy.port}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void proxy.close());

function fail(message: string): never {
  console.error(`proxy: ${message}`);
  process.exit(2);
}
