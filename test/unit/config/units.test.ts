import { expect, test } from 'vitest';
import { nearest } from '../../../src/config/nearest.ts';
import { parseBytes, parseCount, parseDuration } from '../../../src/config/units.ts';

test.each([
  ['0s', 0],
  ['250ms', 250],
  ['60s', 60_000],
  ['60 s', 60_000],
  [' 5m ', 300_000],
  ['1.5h', 5_400_000],
  ['2d', 172_800_000],
  ['0.4ms', 0],
  ['60', undefined],
  ['5M', undefined],
  ['-5s', undefined],
  ['5 minutes', undefined],
  ['1h30m', undefined],
  ['s', undefined],
  ['', undefined],
])('the duration %j is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  ['65536', 65_536],
  ['65_536', 65_536],
  ['128MiB', 134_217_728],
  ['128 mib', 134_217_728],
  ['1GB', 1_000_000_000],
  ['1.5GiB', 1_610_612_736],
  ['10KB', 10_000],
  ['10KiB', 10_240],
  ['5b', 5],
  ['1e6', 1_000_000],
  ['1TB', undefined],
  ['1Mb/s', undefined],
  ['-1', undefined],
  ['one', undefined],
  ['', undefined],
])('the size %j is %s bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each([
  ['0', 0],
  ['5000000', 5_000_000],
  ['5_000_000', 5_000_000],
  ['5M', 5_000_000],
  ['1.5k', 1_500],
  ['1e6', 1_000_000],
  ['1.5', undefined],
  ['5m', undefined],
  ['5K', undefined],
  ['-1', undefined],
  ['9007199254740993', undefined],
  ['', undefined],
])('the count %j is %s', (text, count) => {
  expect(parseCount(text)).toBe(count);
});

test.each([
  ['comit', 'commit'],
  ['COMMIT', 'commit'],
  ['pipelin', 'pipeline'],
  ['soruce', 'source'],
  ['xyz', undefined],
  ['', undefined],
])('%j was most likely meant to be %s', (word, meant) => {
  expect(nearest(word, ['commit', 'pipeline', 'source', 'memory'])).toBe(meant);
});
