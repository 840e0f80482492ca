import { nearest } from "#base/config/suggest.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { requireEncoded } from "./uri.ts";
import { split } from "./uriParts.ts";

/** What a URI decides: how a server is reached, and as whom. */
const FOLLOWED = [
  "authMechanism",
  "authMechanismProperties",
  "authSource",
  "compressors",
  "directConnection",
  "loadBalanced",
  "proxyHost",
  "proxyPassword",
  "proxyPort",
  "proxyUsername",
  "replicaSet",
  "srvAllowedHostsSuffix",
  "srvMaxHosts",
  "srvServiceName",
  "ssl",
  "tls",
  "tlsAllowInvalidCertificates",
  "tlsAllowInvalidHostnames",
  "tlsCAFile",
  "tlsCRLFile",
  "tlsCertificateKeyFile",
  "tlsCertificateKeyFilePassword",
  "tlsInsecure",
  "zlibCompressionLevel",
] as const;

/** What ferry decides, whatever a URI says: from where and how surely it reads and writes, and how long it waits. Some are other drivers'. */
const DECIDED = [
  "appName",
  "connectTimeoutMS",
  "fsync",
  "heartbeatFrequencyMS",
  "j",
  "journal",
  "localThresholdMS",
  "maxAdaptiveRetries",
  "maxConnecting",
  "maxIdleTimeMS",
  "maxLifeTimeMS",
  "maxPoolSize",
  "maxStalenessSeconds",
  "minHeartbeatFrequencyMS",
  "minPoolSize",
  "readConcernLevel",
  "readPreference",
  "readPreferenceTags",
  "retryReads",
  "retryWrites",
  "safe",
  "serverMonitoringMode",
  "serverSelectionTimeoutMS",
  "slaveOk",
  "socketTimeoutMS",
  "timeoutMS",
  "uuidRepresentation",
  "w",
  "waitQueueMultiple",
  "waitQueueTimeoutMS",
  "wtimeout",
  "wtimeoutMS",
] as const;

const lowerCased = (names: readonly string[]): ReadonlyMap<string, string> =>
  new Map(names.map((name) => [name.toLowerCase(), name]));
const followed = lowerCased(FOLLOWED);
const decided = lowerCased(DECIDED);

/** The only compressor that needs no package of its own. */
const COMPRESSORS = new Set(["zlib", "none"]);

/** A URI without the options that ferry sets itself. */
export type FerryUri = Readonly<{
  uri: string;
  /** Names of the options that were left out, as typed. */
  ignored: readonly string[];
}>;

/** One `name=value` of a URI as it is followed; undefined where it is ignored. @throws FERRY_URI */
const followedOption = (option: string): string | undefined => {
  const [name = "", value = ""] = option.split("=");
  const key = name.toLowerCase();
  if (decided.has(key)) return undefined;
  if (!followed.has(key)) {
    const meant = nearest(name, [...FOLLOWED, ...DECIDED]);
    throw new FerryError(
      "FERRY_URI",
      `a MongoDB URI has the unknown option ${name}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    );
  }
  if (key === "loadbalanced" && value.toLowerCase() === "true")
    throw new FerryError(
      "FERRY_URI",
      "a MongoDB URI has loadBalanced=true: ferry needs a connection to the members themselves, since its cursors and transactions live on one of them",
    );
  if (key !== "compressors") return option;
  const wanted = decodeURIComponent(value).split(",");
  const kept = wanted.filter((compressor) => COMPRESSORS.has(compressor));
  if (kept.length === wanted.length) return option;
  return kept.length === 0 ? undefined : `${name}=${kept.join(",")}`;
};

/**
 * Takes out of a URI what must not depend on it. A read preference, a weaker concern, or a limit in a URI is meant for a service;
 * with it ferry would read documents older than the event that it applies, or lose what it wrote.
 * @throws FERRY_URI for credentials that are not percent-encoded, an unknown option, and a connection that ferry cannot use
 */
export const ferryUri = (uri: string): FerryUri => {
  requireEncoded(uri); // a `?` in a password would begin the options, and be named as one
  const parts = split(uri);
  const mark = parts?.tail.indexOf("?") ?? -1;
  if (parts === undefined || mark === -1) return { uri, ignored: [] };
  const typed = parts.tail
    .slice(mark + 1)
    .split("&")
    .filter((option) => option !== "");
  const kept = typed.map(followedOption);
  const changed = typed.filter((option, i) => option !== kept[i]);
  const query = kept.filter((option) => option !== undefined).join("&");
  return {
    uri: `${parts.head}${parts.hosts}${parts.tail.slice(0, mark)}${query === "" ? "" : `?${query}`}`,
    ignored: [...new Set(changed.map((option) => option.split("=")[0] ?? ""))],
  };
};
