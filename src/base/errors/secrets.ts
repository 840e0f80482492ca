/**
 * What may be shown of a text that can hold a URI with credentials. The rule goes by position, since it is the malformed
 * URI that ends up in an error: from the scheme's `//` to the last `@` everything is user and password, and everything
 * from `?` on can be (`tlsCertificateKeyFilePassword`, session tokens). Kept is what is certainly no secret: the scheme,
 * hosts that look like hosts, a path, and a few options.
 */

/** A name, an address or a socket's path, with its port. */
const HOST = String.raw`(?:\[[0-9a-fA-F:.]+\]|[\w.%-]+|\*{3})(?::\d{1,5})?`;
const HOSTS = `${HOST}(?:,${HOST})*`;
const PATH = String.raw`(?:\/[\w.%~+-]*)*`;
const USER = String.raw`(?:[^\s@/?#:%[\]"]|%[0-9a-fA-F]{2})*`;
/** Options that are no secret, whose values show nothing else than they say. Shown where there is no other. */
const OPTION =
  "(?:replicaSet|directConnection|loadBalanced|authSource|authMechanism|tls|ssl|readPreference|retryReads|retryWrites|w)=[\\w.-]*";
const OPTIONS = String.raw`\?${OPTION}(?:&${OPTION})*`;
/** What a sentence puts behind a URI. */
const STOP = String.raw`[.,:;!?"'\`)\]}]*`;

/** A well-formed rest of a URI that ends where the word ends: no part of it can be mistaken for another. */
const WELL_FORMED = new RegExp(
  String.raw`^(?:${USER}(?::${USER})?@)?(${HOSTS}${PATH}(?:${OPTIONS}(?=${STOP}(?:\s|$)))?)(?:\?[^\s@]*?)?(${STOP})(?=\s|$)`,
  "i",
);
/** The part behind the last `@` of one that is not. */
const HOSTS_AGAIN = new RegExp(
  String.raw`^(${HOSTS}${PATH}(?:${OPTIONS}(?=${STOP}(?:\s|$)))?)(?:\?\S*?)?(${STOP})(?=\s|$)`,
  "i",
);
/** Not `file:`, which is a path: a trace is full of them. */
const SCHEME = /(?<![a-z0-9+.-])(?!file:)[a-z][a-z0-9+.-]*:\/\//i;

/** Stands for a part of which nothing can be shown. */
const HIDDEN = "***";

/** @returns what may be shown of the text behind a scheme, and what of the text is left to look at */
const takeUri = (text: string): readonly [shown: string, rest: string] => {
  const whole = WELL_FORMED.exec(text);
  if (whole !== null) return [`${whole[1]}${whole[2]}`, text.slice(whole[0].length)];
  const at = text.lastIndexOf("@");
  const behind = text.slice(at + 1);
  const hosts = at < 0 ? null : HOSTS_AGAIN.exec(behind);
  if (hosts !== null) return [`${hosts[1]}${hosts[2]}`, behind.slice(hosts[0].length)];
  if (at < 0 && /^(?:\s|$)/.test(text)) return ["", text]; // the scheme alone
  return [HIDDEN, behind.slice(/^\S*/.exec(behind)?.[0].length ?? 0)];
};

const lineWithoutSecrets = (line: string): string => {
  let [shown, rest] = ["", line];
  for (let found = SCHEME.exec(rest); found !== null; found = SCHEME.exec(rest)) {
    const end = found.index + found[0].length;
    const [uri, behind] = takeUri(rest.slice(end));
    shown += rest.slice(0, end) + uri;
    rest = behind;
  }
  return shown + rest;
};

/**
 * A sentence, a log line or a stack trace as it may be shown and stored. Meant for ferry's own words and those of servers
 * and libraries, not for users' documents: a document's `https://host/@name` would be shortened. A password with a space in it
 * cannot be separated from the words that follow; a URI with one is refused where it is given (`io/mongo/uri.ts`).
 */
export const withoutSecrets = (text: string): string =>
  text.includes("://") ? text.split("\n").map(lineWithoutSecrets).join("\n") : text;

/** What may be shown of one whole URI, however malformed it is. */
export const shownUri = (uri: string): string => {
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(uri) ?? [];
  const tail = rest.slice(rest.lastIndexOf("@") + 1);
  const hosts = new RegExp(String.raw`^(${HOSTS}${PATH}(?:${OPTIONS}(?=$))?)(?:\?.*)?$`, "is").exec(tail);
  return scheme + (hosts?.[1] ?? HIDDEN);
};

/** Does a URI hold a password, or an option that is one? */
export const holdsSecret = (uri: string): boolean => {
  const [, rest = ""] = /:\/\/(.*)$/s.exec(uri) ?? [];
  const credentials = rest.slice(0, Math.max(0, rest.lastIndexOf("@")));
  return /:./s.test(credentials) || /[?&][^=&]*(?:password|properties|secret|token)[^=&]*=./is.test(rest);
};

/** Any value as it may be shown: every text in it without secrets. What is no plain object, array or text stays as it is. */
export const valueWithoutSecrets = (value: unknown): unknown => {
  if (typeof value === "string") return withoutSecrets(value);
  if (Array.isArray(value)) return value.map(valueWithoutSecrets);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, valueWithoutSecrets(inner)]));
};
