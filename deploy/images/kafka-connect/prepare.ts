/**
 * Makes the folder that Kafka Connect's image is given: the pinned, verified connector and the worker's properties, the same
 * as on the local stack but for addresses. Usage: prepare.ts FOLDER
 */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { propertiesText } from "#tools/stack/java.ts";
import { ensureConnector } from "#tools/stack/kafkaArtefact.ts";
import { workerProperties } from "#tools/stack/kafkaConnect.ts";

const PORT = 8083;
const [, , folder = "."] = process.argv;
const plugins = join(folder, "plugins");
/** Where secrets are mounted that connector files name: `${directory:/opt/kafka-connect/secrets:FILE}`. */
const secrets = join(folder, "secrets");

mkdirSync(secrets, { recursive: true });
cpSync(await ensureConnector((line) => void process.stdout.write(`${line}\n`)), plugins, { recursive: true });
writeFileSync(
  join(folder, "connect.properties"),
  propertiesText({
    ...workerProperties("${env:CONNECT_BOOTSTRAP}", PORT, plugins),
    listeners: `http://0.0.0.0:${PORT}`,
    "rest.advertised.host.name": "${env:CONNECT_ADVERTISED_HOST}",
    "config.storage.replication.factor": "${env:CONNECT_REPLICATION}",
    "offset.storage.replication.factor": "${env:CONNECT_REPLICATION}",
    "status.storage.replication.factor": "${env:CONNECT_REPLICATION}",
    // Only these variables, so that a connector's file cannot read others; and the files of one folder.
    "config.providers": "env,directory",
    "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "config.providers.env.param.allowlist.pattern": "CONNECT_.*",
    "config.providers.directory.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    "config.providers.directory.param.allowed.paths": secrets,
  }),
);
