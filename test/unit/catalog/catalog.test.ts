import { expect, test } from 'vitest';
import { FatalError } from '../../../src/base/errors.ts';
import { formatIdentifier, parseIdentifier } from '../../../src/catalog/catalog.ts';

test('a table’s name has its namespace before it', () => {
  expect(parseIdentifier('shop.orders')).toEqual({ namespace: ['shop'], name: 'orders' });
  expect(parseIdentifier('shop.eu.orders')).toEqual({ namespace: ['shop', 'eu'], name: 'orders' });
  for (const text of ['shop.orders', 'a.b.c', 'größe.my table'])
    expect(formatIdentifier(parseIdentifier(text))).toBe(text);
});

test.each(['', 'orders', '.orders', 'shop.', 'shop..orders', '.'])('%j is no table name', (text) => {
  expect(() => parseIdentifier(text)).toThrow(
    new FatalError(`table name "${text}": expected namespace.table, such as shop.orders`),
  );
});
