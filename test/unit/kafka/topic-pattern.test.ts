import { describe, expect, test } from 'vitest';
import { isChosen, PatternError, TopicPattern } from '../../../src/kafka/topic-pattern.ts';

const matching = (pattern: string, ...topics: string[]): string[] =>
  topics.filter((topic) => new TopicPattern(pattern).matches(topic));

describe('a pattern', () => {
  test('is held against the whole name, as by Java', () => {
    const topics = ['shop.orders', 'shop.refunds', 'workshop.orders', 'shop', 'shop.orders.eu'];
    expect(matching('shop\\..*', ...topics)).toEqual(['shop.orders', 'shop.refunds', 'shop.orders.eu']);
    expect(matching('orders', ...topics)).toEqual([]);
    expect(matching('^shop\\.(orders|refunds)$', ...topics)).toEqual(['shop.orders', 'shop.refunds']);
    expect(matching('shop.orders|shop', ...topics)).toEqual(['shop.orders', 'shop']);
  });

  test.each([
    ['[a-c]+', ['abc', 'b'], ['', 'abd', 'A']],
    ['[^a-c.]', ['d', '-'], ['a', '.', 'dd']],
    ['[-_]x|[a\\]]', ['-x', '_x', 'a', ']'], ['x']],
    ['[\\w-]+', ['a_1-Z'], ['a.b', '']],
    ['\\d{3}', ['007'], ['07', '0077', '00a']],
    ['\\d{2,}', ['42', '4242'], ['4']],
    ['a{2,3}b?', ['aa', 'aaab'], ['a', 'aaaa', 'aabb']],
    ['(a|bc)*d', ['d', 'abcad'], ['abd', 'ac']],
    ['(?:x.*?y)+', ['xy', 'xaybxcy'.replace('b', '')], ['x', 'yx']],
    ['\\W\\D\\S', ['.a-'], ['a.-', '.1-']],
    ['a|', ['a', ''], ['b']],
    ['.', ['x', '.'], ['', 'xy']],
    ['a^b|a$b', [], ['ab', 'a']],
    ['((a*)*)*', ['', 'aaaa'], ['ab']],
    ['(a|b?){3}', ['', 'aba', 'bb'], ['abab']],
  ])('%s', (pattern, yes, no) => {
    expect(matching(pattern, ...yes, ...no)).toEqual(yes);
  });

  test('that others would backtrack over for ever is done at once', () => {
    const pattern = new TopicPattern('(([a-z]+)*\\.?)*(a|aa|aaa)+!');
    expect(pattern.matches('a'.repeat(248))).toBe(false);
    expect(pattern.matches(`${'a'.repeat(248)}!`)).toBe(true);
    expect(new TopicPattern('((a?){1000}){1000}').matches('a'.repeat(249))).toBe(true);
  });

  test.each([
    ['*.orders', 'a * that repeats nothing at character 1'],
    ['shop.**', 'a * that repeats nothing at character 7'],
    ['shop\\.(orders', 'a ( that is not closed at character 7'],
    ['shop)', 'a ) without ( at character 5'],
    ['[a-z', 'a [ that is not closed at character 1'],
    ['[]', 'an empty class at character 1'],
    ['[z-a]', 'the range z-a at character 2'],
    ['[a[b]]', 'a class within a class at character 3'],
    ['(?!test).*', '(?! (lookaround, flags and names are not supported) at character 1'],
    ['(?i)shop', '(?i (lookaround, flags and names are not supported) at character 1'],
    ['(a)\\1', '\\1 (not supported) at character 4'],
    ['\\Qshop\\E', '\\Q (not supported) at character 1'],
    ['a++', 'a possessive quantifier at character 3'],
    ['a{x}', 'a { that repeats nothing at character 2'],
    ['a{3,2}', '{3,2} is out of range at character 2'],
    ['a{1001}', '{1001} is out of range at character 2'],
    ['a\\', 'a \\ at the end at character 2'],
  ])('%s is refused: %s', (text, message) => {
    let error: unknown;
    try {
      new TopicPattern(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PatternError);
    expect(error).toMatchObject({ message, fix: expect.stringMatching(/^(write|leave|known)/) });
  });
});

test('a topic is chosen by its name, or by a pattern', () => {
  const choice = { topics: ['orders'], topicsPattern: new TopicPattern('eu\\..*') };
  expect(['orders', 'eu.orders', 'us.orders'].map((topic) => isChosen(topic, choice))).toEqual([
    true,
    true,
    false,
  ]);
  expect(isChosen('eu.orders', { topics: [] })).toBe(false);
});
