import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TopicPattern } from '../../src/kafka/topic-pattern.ts';

/** Patterns of all that there is, over few characters, so that names match now and then. */
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', '.', '\\.', '-', '\\w', '\\D', '[ab]', '[^a]', '[a-b.]', '^', '$', ''),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{2,}', '*?', '+?'))
      .map(([a, times]) => `(?:${a})${times}`),
  ),
}));
const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '1'), maxLength: 6 });

test('patterns match the names that the engine of JavaScript matches', () => {
  fc.assert(
    fc.property(pattern, fc.array(name, { minLength: 5, maxLength: 20 }), (text, names) => {
      const ours = new TopicPattern(text);
      const theirs = new RegExp(`^(?:${text})$`);
      for (const each of names) expect([each, ours.matches(each)]).toEqual([each, theirs.test(each)]);
    }),
    { numRuns: 500 },
  );
});
