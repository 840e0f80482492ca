import { FerryError } from "#base/errors/ferryError.ts";
import { shownUri } from "#base/errors/secrets.ts";
import { hostsOf } from "./uriParts.ts";

/** What user and password cannot hold as it is, since it would end them elsewhere. A colon divides the two once. */
const UNENCODED = /[@/?#[\]\s]|:.*:|%(?![0-9a-fA-F]{2})/s;

const refusal =
  (uri: string, what: string) =>
  (reason: string): FerryError =>
    new FerryError("FERRY_URI", `${what === "" ? "" : `${what}: `}${shownUri(uri)}: ${reason}`);

/**
 * Refuses what a parser would take apart in another place than the writer meant: it would look up, and name, a part of the
 * password as a host. What is in front of the last `@` is user and password.
 * @param what names the URI, where that is known
 * @throws FERRY_URI
 */
export const requireEncoded = (uri: string, what = ""): void => {
  const refuse = refusal(uri, what);
  const [, rest = ""] = /:\/\/(.*)$/s.exec(uri) ?? [];
  const at = rest.lastIndexOf("@");
  if (at >= 0 && UNENCODED.test(rest.slice(0, at)))
    throw refuse("user and password, in front of the last @, have a character that must be percent-encoded");
  if (/\s/.test(rest)) throw refuse("it has a space or a line end");
};

/** What stands behind a host's colon is a port; an IPv6 address is in brackets. */
const isPort = (host: string): boolean => {
  const port = /^(?:\[[^\]]*\]|[^:[]*):(.*)$/s.exec(host)?.[1];
  return port === undefined || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535);
};

/** `requireEncoded`, the scheme and the ports. The rest is the driver's to judge. @throws FERRY_URI */
export const requireMongoUri = (uri: string, what = ""): void => {
  if (!/^mongodb(?:\+srv)?:\/\//.test(uri))
    throw refusal(uri, what)("a MongoDB URI begins with mongodb:// or mongodb+srv://");
  requireEncoded(uri, what);
  const host = hostsOf(uri).find((one) => !isPort(one));
  if (host !== undefined) throw refusal(uri, what)(`${host}: a port is a number from 1 to 65535`);
};
