const quote = (text: string): string => text.replace(/[.+^${}()|[\]\\]/g, "\\$&");

/** Does a text match one of the patterns? Names or globs: `*` any characters, `?` one. */
export const globMatcher = (patterns: readonly string[]): ((text: string) => boolean) => {
  const expressions = patterns
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "")
    .map((pattern) => new RegExp(`^${quote(pattern).replaceAll("*", ".*").replaceAll("?", ".")}$`, "s"));
  return (text) => expressions.some((expression) => expression.test(text));
};
