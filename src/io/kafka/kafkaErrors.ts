import type { ErrorCode } from "#base/errors/catalogue.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { foundIn, tlsFaultOf, tlsText } from "#base/errors/tlsFault.ts";
import { library } from "./library.ts";

/** Broker error names (Kafka protocol, "Error codes") to ours; the first that occurs anywhere in a nested error decides. */
const BY_API_ID: readonly (readonly [string, ErrorCode])[] = [
  ["OFFSET_OUT_OF_RANGE", "FERRY_LOG_TRUNCATED"],
  ["UNKNOWN_TOPIC_OR_PARTITION", "FERRY_KAFKA_TOPIC_MISSING"],
  ["UNKNOWN_TOPIC_ID", "FERRY_KAFKA_TOPIC_MISSING"],
  ["TOPIC_AUTHORIZATION_FAILED", "FERRY_KAFKA_ACL"],
  ["GROUP_AUTHORIZATION_FAILED", "FERRY_KAFKA_ACL"],
  ["CLUSTER_AUTHORIZATION_FAILED", "FERRY_KAFKA_ACL"],
  ["INVALID_TOPIC_EXCEPTION", "FERRY_KAFKA_REQUEST"],
  ["TOPIC_DELETION_DISABLED", "FERRY_KAFKA_REQUEST"],
];

/** The settings of a client file that TLS depends on. */
const SETTINGS = { trust: "ssl.truststore.location", own: "ssl.keystore.location", tls: "security.protocol" };

/** What the library says where it meets a listener that wants TLS. */
const WANTS_TLS = /requires TLS/;

/** A broker silently closes a connection that it does not want. */
const CLOSED = " (a listener closes what is not as it wants it: TLS, a login, a client's certificate; --kafka-config)";

/** Why TLS did not come about. */
const tlsReason = (error: unknown): string | undefined => {
  const fault = tlsFaultOf(error);
  if (fault !== undefined) return tlsText(fault, SETTINGS);
  return foundIn(error, ({ message }) =>
    WANTS_TLS.test(message) ? "that listener wants TLS: security.protocol" : undefined,
  );
};

/** Was a login refused? */
const isRefusedLogin = (error: unknown): boolean =>
  foundIn(error, (one) => (one as { code?: unknown }).code === "PLT_KFK_AUTHENTICATION" || undefined) === true;

const UNREACHABLE = ["PLT_KFK_NETWORK", "PLT_KFK_TIMEOUT"];
const REFUSED = ["PLT_KFK_UNSUPPORTED_COMPRESSION", "PLT_KFK_UNSUPPORTED_API", "PLT_KFK_USER"];

const deepest = (error: Error): string => {
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error.cause;
  return inner instanceof Error ? deepest(inner) : error.message;
};

/** Is all that failed in it a host that DNS does not know? The library looks for codes in its own errors alone, not in their causes. */
const isMistake = (error: unknown): boolean => {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isMistake);
  if (!(error instanceof Error)) return false;
  return (error as { code?: unknown }).code === "ENOTFOUND" || isMistake(error.cause);
};

/** A client error as ours, by protocol code and class. Every transient error is `backoff`; `facts.mistake`: no host is known to DNS. */
export const kafkaError = (error: unknown, phase: string): FerryError => {
  if (isFerry(error)) return error;
  if (!(error instanceof Error)) return new FerryError("FERRY_BUG", `${phase}: ${String(error)}`);
  const reason = deepest(error);
  const detail = `${phase}: ${reason}${reason === "Connection closed" ? CLOSED : ""}`;
  const { findErrorBy } = library();
  const has = (property: string, value: unknown): boolean => findErrorBy(error, property, value) !== null;
  for (const [apiId, code] of BY_API_ID) if (has("apiId", apiId)) return new FerryError(code, detail, { cause: error });
  const tls = tlsReason(error);
  if (tls !== undefined) return new FerryError("FERRY_KAFKA_TLS", `${phase}: ${tls}`, { cause: error });
  if (isRefusedLogin(error)) return new FerryError("FERRY_KAFKA_AUTH", detail, { cause: error });
  for (const code of UNREACHABLE)
    if (has("code", code))
      return new FerryError("FERRY_KAFKA_UNREACHABLE", detail, {
        cause: error,
        facts: { mistake: isMistake(error) },
      });
  if (has("canRetry", true)) return new FerryError("FERRY_KAFKA_TRANSIENT", detail, { cause: error });
  for (const code of REFUSED)
    if (has("code", code)) return new FerryError("FERRY_KAFKA_REQUEST", detail, { cause: error });
  return new FerryError("FERRY_KAFKA_TRANSIENT", detail, { cause: error });
};
