import { dirname, isAbsolute, join } from "node:path";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import type { SASLOptions } from "@platformatic/kafka";
import { nearest } from "#base/config/suggest.ts";
import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { parseProperties } from "./properties.ts";
import { tokenFrom } from "./tokenEndpoint.ts";

/** How brokers are spoken to: encrypted, as whom, or neither. */
export type KafkaSecurity = Readonly<{ tls?: TlsOptions; sasl?: SASLOptions }>;

type Properties = ReadonlyMap<string, string>;

const PROTOCOLS = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] as const;
const MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const;

/** Keys that ferry obeys, as Kafka's own clients spell them. */
const KEYS = [
  "security.protocol",
  "sasl.mechanism",
  "sasl.jaas.config",
  "sasl.oauthbearer.token.endpoint.url",
  "ssl.truststore.type",
  "ssl.truststore.location",
  "ssl.truststore.certificates",
  "ssl.keystore.type",
  "ssl.keystore.location",
  "ssl.keystore.password",
  "ssl.keystore.key",
  "ssl.keystore.certificate.chain",
  "ssl.key.password",
  "ssl.endpoint.identification.algorithm",
] as const;
type Key = (typeof KEYS)[number];

/** Of Java alone, and without a meaning for a client that has neither of these. */
const OF_JAVA = ["sasl.login.callback.handler.class", "sasl.client.callback.handler.class"];

/** What security is made of is obeyed or refused; other keys tune Java clients, and mean nothing here. */
const isSecurity = (key: string): boolean => /^(?:security|sasl|ssl)\./.test(key) && !OF_JAVA.includes(key);

/** One file, and the sentences about it; never with a value. */
class ClientFile {
  readonly path: string;
  readonly #properties: Properties;

  constructor(path: string) {
    this.path = path;
    this.#properties = parseProperties(readTextFile(path, (reason) => this.refused(reason)));
    for (const key of this.#properties.keys())
      if (isSecurity(key) && !(KEYS as readonly string[]).includes(key)) {
        const close = nearest(key, KEYS);
        throw this.refused(`${key} is not known${close === undefined ? "" : `; is it ${close}?`}`);
      }
  }

  refused(sentence: string): FerryError {
    return new FerryError("FERRY_CONFIG", `${this.path}: ${sentence}`);
  }

  get(key: Key): string | undefined {
    const value = this.#properties.get(key)?.trim();
    return value === "" && key !== "ssl.endpoint.identification.algorithm" ? undefined : value;
  }

  need(key: Key, why: string): string {
    const value = this.get(key);
    if (value === undefined) throw this.refused(`${key} is missing: ${why}`);
    return value;
  }

  oneOf<T extends string>(key: Key, known: readonly T[], fallback: T | undefined): T {
    const value = this.get(key) ?? fallback;
    const found = known.find((one) => one === value);
    if (found === undefined) throw this.refused(`${key} must be ${known.join(", ")}`);
    return found;
  }

  /** A path is that of the file's folder. */
  read(key: Key): Buffer | undefined {
    const path = this.get(key);
    if (path === undefined) return undefined;
    const whole = isAbsolute(path) ? path : join(dirname(this.path), path);
    return Buffer.from(readTextFile(whole, (reason) => this.refused(`${key} ${path}: ${reason}`)));
  }
}

/** Java keeps certificates in files that no other program reads: those have to be PEM. */
const requirePem = (file: ClientFile, store: "truststore" | "keystore"): void => {
  const type = file.get(`ssl.${store}.type`);
  if (file.get(`ssl.${store}.location`) === undefined || type === "PEM") return;
  throw file.refused(
    `ssl.${store}.type is ${type ?? "JKS"}, which only Java reads: export it as PEM (\`keytool -exportcert -rfc\`, \`openssl pkcs12\`), and set ssl.${store}.type=PEM`,
  );
};

const tlsOf = (file: ClientFile): TlsOptions => {
  requirePem(file, "truststore");
  requirePem(file, "keystore");
  const ca = file.read("ssl.truststore.location") ?? file.get("ssl.truststore.certificates");
  const both = file.read("ssl.keystore.location");
  const key = both ?? file.get("ssl.keystore.key");
  const cert = both ?? file.get("ssl.keystore.certificate.chain");
  if ((key === undefined) !== (cert === undefined))
    throw file.refused("ssl.keystore.key and ssl.keystore.certificate.chain belong together");
  const passphrase = file.get("ssl.key.password");
  const checksName = file.get("ssl.endpoint.identification.algorithm") !== "";
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(key === undefined || cert === undefined ? {} : { key, cert }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(checksName ? {} : { checkServerIdentity: () => undefined }),
  };
};

/** Options of a login module: `org.…PlainLoginModule required username="u" password="p";` */
const jaasOptions = (text: string): ReadonlyMap<string, string> =>
  new Map(
    [...text.matchAll(/(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([^\s;"']+))/g)].map(
      ([, name = "", double, single, bare = ""]) => [name, (double ?? single)?.replace(/\\(.)/gs, "$1") ?? bare],
    ),
  );

/** An option of the file's login. */
const loginOption = (file: ClientFile, name: string): string => {
  const value = jaasOptions(file.need("sasl.jaas.config", "a login needs it")).get(name);
  if (value === undefined || value === "") throw file.refused(`sasl.jaas.config has no ${name}`);
  return value;
};

const saslOf = (file: ClientFile): SASLOptions => {
  const mechanism = file.oneOf("sasl.mechanism", MECHANISMS, undefined);
  /** Read again for each connection: a password may be changed under way. What is missing is said at once. */
  const asOfNow = (name: string): (() => string) => {
    loginOption(file, name);
    return () => loginOption(new ClientFile(file.path), name);
  };
  if (mechanism !== "OAUTHBEARER") return { mechanism, username: asOfNow("username"), password: asOfNow("password") };
  const endpoint = file.need("sasl.oauthbearer.token.endpoint.url", "OAUTHBEARER gets its tokens there");
  const scope = jaasOptions(file.get("sasl.jaas.config") ?? "").get("scope");
  return { mechanism, token: tokenFrom(endpoint, { id: asOfNow("clientId"), secret: asOfNow("clientSecret"), scope }) };
};

/**
 * What a client file says of security, as Kafka's own tools take it (`--command-config`).
 * Source: Kafka's documentation, "Security" and "Producer Configs".
 * @throws FERRY_CONFIG with the file and the key, and no value
 */
export const readKafkaSecurity = (path: string): KafkaSecurity => {
  const file = new ClientFile(path);
  const protocol = file.oneOf("security.protocol", PROTOCOLS, "PLAINTEXT");
  return {
    ...(protocol.endsWith("SSL") ? { tls: tlsOf(file) } : {}),
    ...(protocol.startsWith("SASL") ? { sasl: saslOf(file) } : {}),
  };
};
