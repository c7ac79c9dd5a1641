import { expect, test } from 'vitest';
import { checkedFetch } from '../../tools/rest-spec.ts';

/** What the check against the specification would tell of. */
async function violations(request: [string, RequestInit?], status: number, body: unknown): Promise<string[]> {
  const checked = checkedFetch(async () => new Response(JSON.stringify(body), { status }));
  await checked.fetch(...request);
  return checked.violations;
}

const table = 'https://c/v1/lake/namespaces/a%1Fb/tables/orders';
const error = { error: { message: 'm', type: 'T', code: 404 } };

test('what is as specified passes', async () => {
  expect(await violations([`${table}?snapshots=all`], 404, error)).toEqual([]);
  const init = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const body = JSON.stringify({
    requirements: [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null }],
    updates: [{ action: 'set-properties', updates: { a: '1' } }],
  });
  expect(await violations([table, { ...init, body }], 409, error)).toEqual([]);
});

test.each<[string, [string, RequestInit?], number, unknown]>([
  ['an endpoint', ['https://c/v1/lake/tables/orders/load'], 200, {}],
  ['a query', [`${table}?all=1`], 404, error],
  ['a header', [table, { headers: { 'x-mine': '1' } }], 404, error],
  [
    'a body',
    [table, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"updates":[]}' }],
    409,
    error,
  ],
  ['a content type', [table, { method: 'POST', body: '{"requirements":[],"updates":[]}' }], 409, error],
  ['a status', [table], 418, error],
  ['an answer', [table], 200, { metadata: { 'format-version': 2 } }],
  ['an error', [table], 404, { message: 'gone' }],
])('%s that is not specified is told', async (_what, request, status, body) => {
  expect(await violations(request, status, body)).not.toEqual([]);
});
