import { seriesOf } from "#base/flow/buckets.ts";
import { globMatcher } from "#base/flow/glob.ts";
import { formatNamespace, parseNamespace } from "#base/flow/types.ts";

/** Topics that Connect keeps its own state in; never data. */
const INTERNAL = /^(__|docker-connect-|connect-(configs|offsets|status)$)/;

/** Does a topic belong to the run? `patterns`: names or globs, comma-separated; that of buckets is meant by their time series, too. */
export const topicMatcher = (patterns: string): ((topic: string) => boolean) => {
  const matches = globMatcher(patterns.split(","));
  return (topic) => {
    const series = seriesOf(parseNamespace(topic));
    return !INTERNAL.test(topic) && (matches(topic) || (series !== undefined && matches(formatNamespace(series))));
  };
};
