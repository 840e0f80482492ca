/** MongoDB connection strings, taken apart only as far as hosts and options. Source: the Connection String Specification. */
type UriParts = Readonly<{ head: string; hosts: string; tail: string }>;

export const split = (uri: string): UriParts | undefined => {
  const found = /^(mongodb(?:\+srv)?:\/\/(?:[^/?]*@)?)([^/?]*)(.*)$/s.exec(uri);
  if (found === null) return undefined;
  const [, head = "", hosts = "", tail = ""] = found;
  return { head, hosts, tail };
};

/** `host` or `host:port` as typed. Empty for something that is not a MongoDB URI. */
export const hostsOf = (uri: string): readonly string[] => split(uri)?.hosts.split(",") ?? [];

/** The host without its port. */
export const hostName = (host: string): string => host.replace(/:\d+$/, "");

/** The value of an option, names compared without case; undefined where it is not given. */
export const uriOption = (uri: string, name: string): string | undefined => {
  const query = split(uri)?.tail.split("?")[1] ?? "";
  for (const [key, value] of new URLSearchParams(query)) if (key.toLowerCase() === name.toLowerCase()) return value;
  return undefined;
};

/** The URI with its hosts replaced; credentials and options stay as typed. */
export const withHosts = (uri: string, replace: (host: string) => string): string => {
  const parts = split(uri);
  return parts === undefined ? uri : parts.head + parts.hosts.split(",").map(replace).join(",") + parts.tail;
};

/** The URI with one host in place of all of them. */
export const withHost = (uri: string, host: string): string => {
  const parts = split(uri);
  return parts === undefined ? uri : parts.head + host + parts.tail;
};

/** User and password, decoded; undefined where the URI has no login, or one that is not percent-encoded. */
export const loginOf = (uri: string): Readonly<{ username: string; password: string }> | undefined => {
  const [, user, password = ""] = /^mongodb(?:\+srv)?:\/\/([^:@/?]*)(?::([^:@/?]*))?@/.exec(uri) ?? [];
  if (user === undefined) return undefined;
  try {
    return { username: decodeURIComponent(user), password: decodeURIComponent(password) };
  } catch {
    return undefined;
  }
};
