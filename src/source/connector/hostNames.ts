import { lookup } from "node:dns/promises";
import { hostName, hostsOf, withHosts } from "#io/mongo/uriParts.ts";
import type { ConnectorConfig } from "#source/connect/connectRest.ts";

export type Translation = Readonly<{ config: ConnectorConfig; changes: readonly string[] }>;

/** Does the name resolve on this machine? */
export const resolves = async (host: string): Promise<boolean> => {
  try {
    await lookup(host);
    return true;
  } catch {
    return false;
  }
};

/**
 * Container-style host names (`mongo-source`) in `connection.uri` become the local stack's addresses where they do not
 * resolve by themselves, so that one connector file works in containers and on a native stack. `changes` says what was
 * replaced, for the operator to read.
 */
export const translateHosts = async (
  config: ConnectorConfig,
  names: Readonly<Record<string, string>>,
  canResolve: (host: string) => Promise<boolean> = resolves,
): Promise<Translation> => {
  const uri = config["connection.uri"];
  if (uri === undefined) return { config, changes: [] };
  const changes: string[] = [];
  const replaced = new Map<string, string>();
  for (const host of hostsOf(uri)) {
    const to = names[hostName(host)];
    if (to === undefined || (await canResolve(hostName(host)))) continue;
    replaced.set(host, to);
    changes.push(`${host} is ${to} on the local stack; connection.uri is posted with that address`);
  }
  if (changes.length === 0) return { config, changes };
  return { config: { ...config, "connection.uri": withHosts(uri, (host) => replaced.get(host) ?? host) }, changes };
};
