import { FerryError } from "#base/errors/ferryError.ts";
import { holdsSecret } from "#base/errors/secrets.ts";
import { uriOption } from "#io/mongo/uriParts.ts";
import type { ConnectorConfig } from "#source/connect/connectRest.ts";

/** Options of a URI that name PEM files: the connector's driver is that of Java, and reads none. */
const PEM_FILES = ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"] as const;

/** Refuses a connector that would never reach its source by TLS. @throws FERRY_CAPTURE_UNUSABLE */
export const requireJavaTls = (name: string, { "connection.uri": uri = "" }: ConnectorConfig): void => {
  const option = PEM_FILES.find((known) => uriOption(uri, known) !== undefined);
  if (option !== undefined)
    throw new FerryError(
      "FERRY_CAPTURE_UNUSABLE",
      `connection.uri of ${name} has ${option}, which the connector does not read: name stores of Java's in connection.ssl.truststore and connection.ssl.keystore (docs/53-security.md)`,
    );
};

/**
 * Refuses a connector whose hosts only Connect knows, and with them the name under which it stores its position: it would run, and
 * its copy never be seen to end. @throws FERRY_CAPTURE_UNUSABLE
 */
export const requirePartition = (name: string, config: ConnectorConfig): void => {
  if (!(config["connection.uri"] ?? "").includes("${") || (config["offset.partition.name"] ?? "") !== "") return;
  throw new FerryError(
    "FERRY_CAPTURE_UNUSABLE",
    `connection.uri of ${name} is a reference that Connect resolves, so that the name of its stored position is not known here: give it one by offset.partition.name (docs/53-security.md)`,
  );
};

/**
 * What is worth saying of how a connector gets to its source, before Connect is asked.
 * @param ours URI by which ferry reaches the source itself, where one is given
 */
export const connectionAdvice = (config: ConnectorConfig, ours: string | undefined): readonly string[] => {
  const advice: string[] = [];
  if (holdsSecret(config["connection.uri"] ?? ""))
    advice.push(
      "connection.uri holds a password, and Connect's REST API answers it to everyone: let Connect read it from a file (docs/52-secrets.md)",
    );
  const isPrivate = uriOption(ours ?? "", "tlsCAFile") !== undefined;
  if (isPrivate && config["connection.ssl.truststore"] === undefined)
    advice.push(
      "the source's certificate is of a private authority (tlsCAFile), and the connector trusts those of its JVM alone: connection.ssl.truststore (docs/53-security.md)",
    );
  return advice;
};
