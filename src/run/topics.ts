/** Topics that Connect keeps its own state in; never data. */
const INTERNAL = /^(__|docker-connect-|connect-(configs|offsets|status)$)/;

const quote = (text: string): string => text.replace(/[.+^${}()|[\]\\]/g, "\\$&");

/** Does a topic belong to the run? `patterns`: names or globs (`*` any characters, `?` one), comma-separated. */
export const topicMatcher = (patterns: string): ((topic: string) => boolean) => {
  const expressions = patterns
    .split(",")
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "")
    .map((pattern) => new RegExp(`^${quote(pattern).replaceAll("*", ".*").replaceAll("?", ".")}$`));
  return (topic) => !INTERNAL.test(topic) && expressions.some((expression) => expression.test(topic));
};
