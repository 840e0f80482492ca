import { globMatcher } from "#flow/glob.ts";

/** Topics that Connect keeps its own state in; never data. */
const INTERNAL = /^(__|docker-connect-|connect-(configs|offsets|status)$)/;

/** Does a topic belong to the run? `patterns`: names or globs, comma-separated. */
export const topicMatcher = (patterns: string): ((topic: string) => boolean) => {
  const matches = globMatcher(patterns.split(","));
  return (topic) => !INTERNAL.test(topic) && matches(topic);
};
