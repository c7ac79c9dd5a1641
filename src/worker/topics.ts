import type { Config } from '../config/config.ts';
import { isChosen, isInternal, type TopicChoice } from '../kafka/topic-pattern.ts';

/**
 * Whether a topic is read that is not named: it matches `source.topicsPattern`, is not Kafka's own, and goes into some
 * table. Undefined without a pattern. `onHomeless` is told once of each that matches and goes into no table.
 */
export function foundBy(
  { source, tables }: Pick<Config, 'source'> & { readonly tables: readonly TopicChoice[] },
  onHomeless: (topic: string) => void = () => {},
): ((topic: string) => boolean) | undefined {
  const { topicsPattern } = source;
  if (!topicsPattern) return undefined;
  const homeless = new Set<string>();
  return (topic) => {
    if (isInternal(topic) || !topicsPattern.matches(topic)) return false;
    if (tables.some((table) => isChosen(topic, table))) return true;
    if (!homeless.has(topic)) {
      homeless.add(topic);
      onHomeless(topic);
    }
    return false;
  };
}
