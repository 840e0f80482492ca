import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { downloadFirst, ensureCached, type FetchRoute, type Report, runMaven, untar } from "./artefacts.ts";
import { verifyFile } from "./download.ts";
import { ensureJava } from "./javaArtefact.ts";
import { CONNECTOR_JAR, KAFKA_ARCHIVE, kafkaJars, MAVEN_ARCHIVE, siteUrls, VERSIONS } from "./pins.ts";
import { runProgram } from "./process.ts";
import { writeZip } from "./zip.ts";

const dependency = (group: string, name: string, version: string, more = ""): string =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>${more}</dependency>`;

const pom = (dependencies: readonly string[]): string =>
  `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>ferry</groupId><artifactId>stack</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join("\n")}</dependencies></project>
`;

/** Broker, Connect, the storage tool, and a binding without which all of them log nothing. */
const KAFKA_POM = pom([
  dependency("org.apache.kafka", "kafka_2.13", VERSIONS.kafka),
  dependency("org.apache.kafka", "connect-runtime", VERSIONS.kafka),
  dependency("org.apache.kafka", "kafka-tools", VERSIONS.kafka),
  dependency("org.apache.logging.log4j", "log4j-slf4j-impl", VERSIONS.log4jBinding),
]);

/** The classifier `all` is one jar with everything inside. */
const CONNECTOR_POM = pom([
  dependency(
    "org.mongodb.kafka",
    "mongo-kafka-connect",
    VERSIONS.connector,
    "<classifier>all</classifier><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>",
  ),
]);

/** Maven from PATH, the cache, or its official archive; it runs on the Java of `env`. @returns the command. */
const ensureMaven = async (env: NodeJS.ProcessEnv, report: Report): Promise<string> => {
  const installed = await runProgram("mvn", ["-version"], { env, timeoutMs: 30_000 });
  if (installed.code === 0) {
    report("Maven: on PATH");
    return "mvn";
  }
  return ensureCached(
    {
      what: "Maven",
      folder: `maven-${VERSIONS.maven}`,
      entry: join("bin", "mvn"),
      bytes: 40 * 2 ** 20,
      routes: [
        {
          name: `the official Maven ${VERSIONS.maven} archive`,
          fetch: async (folder) => {
            const archive = join(folder, MAVEN_ARCHIVE.file);
            const path = `maven/maven-3/${VERSIONS.maven}/binaries/${MAVEN_ARCHIVE.file}`;
            await downloadFirst(
              siteUrls("apache").map((base) => `${base}/${path}`),
              archive,
              MAVEN_ARCHIVE,
            );
            await untar(archive, folder, ["--strip-components=1"]);
            await rm(archive);
          },
        },
      ],
      failure: "FERRY_STACK_DOWNLOAD",
      refused: `no mvn on PATH (${installed.failure ?? `exit status ${installed.code}`})`,
    },
    report,
  );
};

/** Maven needs JAVA_HOME where java is not on PATH. */
const mavenEnv = (java: string): NodeJS.ProcessEnv =>
  java === "java" ? process.env : { ...process.env, JAVA_HOME: dirname(dirname(java)) };

const copyDependencies = async (pomText: string, folder: string, report: Report): Promise<void> => {
  await writeFile(join(folder, "pom.xml"), pomText);
  const env = mavenEnv(await ensureJava(() => undefined));
  const maven = await ensureMaven(env, report);
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"];
  await runMaven(maven, folder, goal, env);
  await rm(join(folder, "pom.xml"));
};

const kafkaByMaven: FetchRoute = {
  name: "Maven (kafka_2.13, connect-runtime, kafka-tools)",
  fetch: async (folder, report) => {
    await copyDependencies(KAFKA_POM, folder, report);
    for (const jar of kafkaJars()) await verifyFile(join(folder, "libs", jar.file), jar);
  },
};

const kafkaOfficial: FetchRoute = {
  name: `the official Kafka ${VERSIONS.kafka} archive`,
  fetch: async (folder) => {
    const archive = join(folder, KAFKA_ARCHIVE.file);
    await downloadFirst(
      siteUrls("apache").map((base) => `${base}/kafka/${VERSIONS.kafka}/${KAFKA_ARCHIVE.file}`),
      archive,
      KAFKA_ARCHIVE,
    );
    const unpacked = join(folder, "archive");
    await untar(archive, unpacked, ["--strip-components=1"]);
    await rename(join(unpacked, "libs"), join(folder, "libs"));
    await rm(unpacked, { recursive: true });
    await rm(archive);
  },
};

/**
 * Kafka's jars (broker, Connect, tools, log binding): from the cache, the official archive, Maven.
 * @returns the folder of jars, the class path being `FOLDER/*`.
 * @throws FERRY_STACK_KAFKA naming every route tried, FERRY_STACK_DISK, FERRY_TIMEOUT.
 */
export const ensureKafka = (report: Report): Promise<string> =>
  ensureCached(
    {
      what: `Kafka ${VERSIONS.kafka}`,
      folder: `kafka-${VERSIONS.kafka}`,
      entry: "libs",
      bytes: 400 * 2 ** 20,
      routes: [kafkaOfficial, kafkaByMaven],
      failure: "FERRY_STACK_KAFKA",
    },
    report,
  );

/**
 * The connector's jar has no manifests of its plugins, so Connect would open every class of every jar to look for some:
 * 6 s of its 10 s start on two cores. Naming them in a jar beside it lets `plugin.discovery=service_load` do without.
 */
const CONNECTOR_MANIFESTS = {
  "META-INF/services/org.apache.kafka.connect.source.SourceConnector":
    "com.mongodb.kafka.connect.MongoSourceConnector\n",
  "META-INF/services/org.apache.kafka.connect.sink.SinkConnector": "com.mongodb.kafka.connect.MongoSinkConnector\n",
};

/** Folder of one plugin inside the plugin path; all jars in it share a class loader. */
const PLUGIN = join("plugins", "mongo-kafka-connect");

const connectorByMaven: FetchRoute = {
  name: "Maven (mongo-kafka-connect, classifier all)",
  fetch: async (folder, report) => {
    await copyDependencies(CONNECTOR_POM, folder, report);
    const jar = join(folder, "libs", CONNECTOR_JAR.file);
    await verifyFile(jar, CONNECTOR_JAR);
    await mkdir(join(folder, PLUGIN), { recursive: true });
    await writeZip(join(folder, PLUGIN, "manifests.jar"), CONNECTOR_MANIFESTS);
    await rename(jar, join(folder, PLUGIN, CONNECTOR_JAR.file));
    await rm(join(folder, "libs"), { recursive: true });
  },
};

/**
 * The official MongoDB connector (one jar): from the cache or Maven, where MongoDB publishes it.
 * @returns the folder for Connect's plugin.path.
 * @throws FERRY_STACK_CONNECTOR naming every route tried, FERRY_STACK_DISK, FERRY_TIMEOUT.
 */
export const ensureConnector = async (report: Report): Promise<string> => {
  const jar = await ensureCached(
    {
      what: `MongoDB connector ${VERSIONS.connector}`,
      folder: `mongo-kafka-connect-${VERSIONS.connector}-2`,
      entry: join(PLUGIN, CONNECTOR_JAR.file),
      bytes: 40 * 2 ** 20,
      routes: [connectorByMaven],
      failure: "FERRY_STACK_CONNECTOR",
    },
    report,
  );
  return dirname(dirname(jar));
};
