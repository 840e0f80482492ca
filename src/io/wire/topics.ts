import { listed, NamespacePattern } from "#base/flow/namespaceFilter.ts";
import { parseNamespace } from "#base/flow/types.ts";

/** Topics that Connect keeps its own state in. */
const INTERNAL = /^(__|docker-connect-|connect-(configs|offsets|status)$)/;

/** May a topic hold data, rather than what Connect keeps of itself? */
export const isDataTopic = (topic: string): boolean => !INTERNAL.test(topic);

/**
 * Does a topic belong to the run? It is named like its namespace; one that is named like none belongs to no run.
 * @param patterns names or globs of namespaces, comma-separated
 * @throws FERRY_USAGE where one names no database
 */
export const topicMatcher = (patterns: string): ((topic: string) => boolean) => {
  const meant = listed(patterns).map((text) => new NamespacePattern(text));
  return (topic) => {
    const ns = parseNamespace(topic);
    // The topic of buckets is meant by its own name as well, which is no glob's.
    const isMeant = meant.some((pattern) => pattern.text === topic || pattern.matches(ns));
    return ns.coll !== "" && isDataTopic(topic) && isMeant;
  };
};
