import { globSource } from "./namespaceFilter.ts";

/** Does a text match one of the patterns? Names or globs: `*` any characters, `?` one. */
export const globMatcher = (patterns: readonly string[]): ((text: string) => boolean) => {
  const expressions = patterns
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "")
    .map((pattern) => new RegExp(globSource(pattern), "s"));
  return (text) => expressions.some((expression) => expression.test(text));
};
