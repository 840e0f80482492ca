import { MongoNetworkError, type MongoServerSelectionError, type ServerDescription } from "mongodb";
import { tlsFaultOf, tlsText } from "#base/errors/tlsFault.ts";

/** The server ended a connection that carried nothing yet: what that means is not in the driver's words. */
const CLOSED =
  "it takes the connection and ends it: it may require TLS (tls=true) or a client's certificate that it knows (tlsCertificateKeyFile), or be no MongoDB server";
const SILENT = "it takes the connection and does not answer: it may be no MongoDB server";

/** The options of a URI that TLS depends on. */
const OPTIONS = { trust: "tlsCAFile", own: "tlsCertificateKeyFile", tls: "tls=true" };

/** Why one server cannot be used, in words where the driver and Node have a code for it. */
export const unreachedText = (error: Error): string => {
  const fault = tlsFaultOf(error);
  return fault === undefined ? error.message : tlsText(fault, OPTIONS);
};

const reasonOf = ({ error }: ServerDescription): string | undefined => {
  if (error === null) return undefined;
  const message = unreachedText(error);
  if (!(error instanceof MongoNetworkError)) return message;
  if (error.cause === undefined && / closed$/.test(message)) return CLOSED;
  return / timed out$/.test(message) ? SILENT : message;
};

/** What answered, and is not what was looked for. */
const stateOf = ({ type, setName }: ServerDescription): string =>
  setName === null || setName === undefined ? type : `${type} of the replica set ${setName}`;

/**
 * Why no server was found, from what the driver saw of each: its own text is that of the first failure, or only that time
 * ran out.
 */
export const whyUnreached = (error: MongoServerSelectionError): string => {
  const servers = [...(error.reason?.servers.values() ?? [])];
  const reasons = servers.flatMap((server) => reasonOf(server) ?? []);
  if (reasons.length > 0) return [...new Set(reasons)].join("; ");
  const known = servers
    .filter(({ type }) => type !== "Unknown")
    .map((server) => `${server.address} is ${stateOf(server)}`);
  const wanted = error.reason?.setName;
  if (known.length > 0)
    return `no server fits what is asked for (readPreference, directConnection): ${known.join(", ")}`;
  if (wanted) return `none of the hosts is of the replica set ${wanted}: check replicaSet in the URI`;
  return error.message;
};
